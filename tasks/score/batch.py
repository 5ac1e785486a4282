"""One landed batch, predicted: validated as ingest and profile do, stretch by stretch, so that memory stays flat.

A row that cannot be used is left out with its reason, as in a night. What is unlike the training data is told; what is of
another unit, rate or format is refused as a whole: its predictions would mean nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.bundle import Bundle
from tasks.errors import ContractBroken
from tasks.index import Batch
from tasks.ingest.erased import REASON
from tasks.ingest.landing import Landed
from tasks.ingest.rows import Content, Rows
from tasks.ingest.table import Line
from tasks.ingest.times import seconds
from tasks.score.answers import answered, missing, schema
from tasks.score.drift import Drift, drifts
from tasks.score.look import Floats, Look, in_units, look_at
from tasks.score.model import Gone, Model
from tasks.score.reference import Gathered
from tasks.score.tables import QUARANTINE, Writer
from tasks.validate.drift import FEWEST

MOST_ROWS, MOST_BYTES = 1024, 16 << 20  # of a stretch
REASONS, MOST_REASONS = 5, 1000  # that facts name, that are counted
Row = tuple[Line, Mapping[str, Content]]


def score_batch(landed: Landed, model: Model, gone: Gone, answers: Path, left_out: Path) -> tuple[str, dict[str, Any]]:
    """Predict a batch.

    Args:
        landed: from `landing.look`.
        model: what predicts.
        gone: samples that are passed over.
        answers: the table to write, a row per predicted sample.
        left_out: the table to write, a row per row that is not.

    Returns:
        The batch's key, and what was found: `batch`, `digest`, `version`, `targets`, `rows`, `scored`, `quarantined`,
        `withdrawn`, `reasons` (the commonest, with counts), `drift` (see `Drift`; None where there is nothing to compare with).

    Raises:
        ContractBroken: the batch breaks the landing contract as a whole, or is of another unit, rate or format.
        NoData: the store does not answer.
    """
    rows = Rows(landed, model.params)
    with Writer(answers, _schema(model.bundle), model.about) as said, Writer(left_out, QUARANTINE) as lost:
        work = _Work(landed, model, gone, rows.metadata.columns)
        for stretch in stretches(rows.read()):
            work.take(stretch, said, lost)
            print(f"{landed.name}: {work.told()}", flush=True)
    digest = rows.digest()
    work.check_read()
    found = work.drift()
    counts = {name: work.counts[name] for name in ("rows", "scored", "quarantined", "withdrawn")}
    facts: dict[str, Any] = {
        "batch": landed.name,
        "digest": digest,
        "version": model.version,
        "targets": sorted(model.bundle.targets),
    }
    facts |= {**counts, "reasons": work.common()}
    return Batch(landed.name, digest, {}).key, {**facts, "drift": None if found is None else [d.as_json() for d in found]}


def stretches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Consecutive rows, of neither many bytes nor many rows."""
    held: list[Row] = []
    size = 0
    for line, contents in rows:
        held.append((line, contents))
        size += sum(len(content.data) for content in contents.values())
        if len(held) == MOST_ROWS or size >= MOST_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _schema(bundle: Bundle) -> pa.Schema:
    text = pa.string()
    fixed = [("sample_id", text), ("batch", text), ("group", text), ("timestamp", pa.float64()), ("version", text)]
    return pa.schema([*fixed, *schema(bundle), ("missing", text), ("seen", pa.bool_())])


class _Work:
    """What is known of a batch so far."""

    def __init__(self, landed: Landed, model: Model, gone: Gone, columns: Sequence[str]) -> None:
        """Start; `columns`: those of metadata.csv."""
        self.landed, self.model, self.gone = landed, model, gone
        self._domain = model.bundle.domains.column if model.bundle.domains.column in columns else ""
        self.counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._there: Counter[str] = Counter()  # modality -> items
        self._unread: Counter[str] = Counter()  # modality -> those that could not be read
        self._inputs, self._outputs = Gathered(), Gathered()

    def take(self, rows: Sequence[Row], said: Writer, lost: Writer) -> None:
        """Predict some rows."""
        named = [row for row in map(self._kept, rows) if row[0].cells["sample_id"] not in self.gone.withdrawn]
        self.counts.update(rows=len(rows), withdrawn=len(rows) - len(named))
        looks = {m: self._look(m, [contents.get(m) for _, contents in named]) for m in self.model.bundle.modalities}
        reasons = [self._reason(place, line, looks) for place, (line, _) in enumerate(named)]
        out = [place for place, (_, reason) in enumerate(reasons) if reason]
        if out:
            lost.add(_left_out([(named[place][0], *reasons[place]) for place in out]))
            self._reasons.update(reasons[place][1] for place in out if len(self._reasons) < MOST_REASONS)
        ours = [place for place, (_, reason) in enumerate(reasons) if not reason]
        if ours:
            columns = self._answers([named[place] for place in ours])
            said.add(columns)
            self._gather(columns, {name: values[ours] for look in looks.values() for name, values in look.values.items()})
        self.counts.update(scored=len(ours), quarantined=len(out))

    def told(self) -> str:
        """What was counted, in a line."""
        return f"{self.counts['rows']} rows, {self.counts['scored']} predicted, {self.counts['quarantined']} left out"

    def common(self) -> list[list[Any]]:
        """The commonest reasons, each with how often it was one."""
        return [[reason, count] for reason, count in self._reasons.most_common(REASONS)]

    def check_read(self) -> None:
        """Refuse a batch of which nothing of a modality could be read.

        Raises:
            ContractBroken: so it is; the message holds the commonest reason.
        """
        for m, count in self._unread.items():
            if FEWEST <= count == self._there[m]:
                why = next((reason for reason, _ in self._reasons.most_common() if f"{m}: " in reason), "")
                raise ContractBroken(
                    f"{self.landed.place}: none of {count} {m} can be read, e.g. {why}. Has its format, rate or number of"
                    " channels changed? Bring it to what the model was trained on"
                )

    def drift(self) -> list[Drift] | None:
        """How far inputs and answers lie from the reference.

        Raises:
            ContractBroken: a column is of another unit or rate.
        """
        if self.model.reference is None:
            return None
        units = in_units(self.model.bundle.kinds)
        reference = self.model.reference
        tables = [(self._inputs.table(), reference.inputs), (self._outputs.table(), reference.outputs)]
        found = drifts(tables, self.model.least)
        for one in found:
            if one.factor is not None and one.column in units:
                raise ContractBroken(
                    f"{self.landed.place}: {one.column} is {1 / one.factor:.4g} times that of the training data, and otherwise"
                    " like it: another unit or rate? Bring it to what the model was trained on"
                )
        return found

    def _kept(self, row: Row) -> Row:
        """The row, or what is kept of it when its sample was erased: its number."""
        line, _ = row
        if self.gone.erased.has(line.cells["sample_id"]):
            return Line(line.number, dict.fromkeys(line.cells, ""), REASON), {}
        return row

    def _look(self, modality: str, contents: Sequence[Content | None]) -> Look:
        found = look_at(self.model.params.modalities[modality], contents)
        self._there[modality] += sum(content is not None for content in contents)
        self._unread[modality] += len(found.refused)
        return found

    def _reason(self, place: int, line: Line, looks: Mapping[str, Look]) -> tuple[str, str]:
        """Of which modality a row cannot be used ("": all of it), and why, or ""."""
        if line.refused:
            return "", line.refused
        broken = {m: look.refused[place] for m, look in looks.items() if place in look.refused}
        return next(iter(broken), ""), "; ".join(f"{m}: {why}" for m, why in broken.items())

    def _answers(self, rows: Sequence[Row]) -> dict[str, Any]:
        bundle, cells = self.model.bundle, [line.cells for line, _ in rows]
        features = {m: bundle.encode(m, [_data(contents.get(m)) for _, contents in rows]) for m in bundle.modalities}
        domain = [row[self._domain].strip() for row in cells] if self._domain else None
        known = self.model.reference.known if self.model.reference else None
        return {
            "sample_id": [row["sample_id"] for row in cells],
            "batch": [self.landed.name] * len(cells),
            "group": [row.get("group", "").strip() for row in cells],
            "timestamp": [seconds(row.get("timestamp", "")) for row in cells],
            "version": [self.model.version] * len(cells),
            **answered(bundle, features, domain),
            "missing": missing(features),
            "seen": [None if known is None else row["sample_id"] in known for row in cells],
        }

    def _gather(self, columns: Mapping[str, Any], inputs: Mapping[str, Floats]) -> None:
        if self.model.reference is not None:
            outputs = {target: columns[target] for target in self.model.bundle.targets}
            self._inputs.add(columns["group"], columns["sample_id"], inputs)
            self._outputs.add(columns["group"], columns["sample_id"], outputs)


def _data(content: Content | None) -> bytes | None:
    return None if content is None else content.data


def _left_out(rows: Sequence[tuple[Line, str, str]]) -> dict[str, Any]:
    return {
        "sample_id": [line.cells["sample_id"] for line, _, _ in rows],
        "row": [line.number for line, _, _ in rows],
        "modality": [modality for _, modality, _ in rows],
        "reason": [reason for _, _, reason in rows],
    }
