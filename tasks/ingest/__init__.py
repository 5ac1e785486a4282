"""Cut a landed batch into immutable Parquet partitions under data/1_raw: `python -m tasks.ingest` (a task, not a stage).

Every row of metadata.csv becomes a row of data/1_raw/samples/<batch>.parquet. A row that breaks the landing contract is
kept there with its reason in `refused`, and its files are left out. A batch that breaks it as a whole is refused.
A batch of events.csv becomes data/1_raw/events/<batch>.parquet in the same way.
"""

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from tasks.errors import ContractBroken
from tasks.files import file_digest
from tasks.index import Batch, Partition
from tasks.ingest.erased import REASON, Erased
from tasks.ingest.events import Events
from tasks.ingest.landing import Landed
from tasks.ingest.partitions import Cutter
from tasks.ingest.rows import Rows
from tasks.ingest.samples import sample, schema
from tasks.ingest.table import Line
from tasks.params import Params

CONTENT = pa.schema([("sample_id", pa.string()), ("file_name", pa.string()), ("data", pa.binary())])
WHOLE = frozenset({"samples", "events"})  # kept in one partition a batch
EXAMPLES = 5
NOBODY = Erased()


@dataclass(frozen=True)
class Ingested:
    """What became of a batch: rows = accepted + refused.

    Attributes:
        batch: its identity and partitions, for the index.
        rows: rows of metadata.csv or events.csv.
        refused: rows that broke the contract.
        modalities: accepted rows that have each modality.
        examples: some of the refusals, for people.
    """

    batch: Batch
    rows: int
    refused: int
    modalities: Mapping[str, int]
    examples: tuple[str, ...]


def digest(landed: Landed, params: Params) -> str:
    """A batch's identity: reads all of its files, writes nothing.

    Raises:
        ContractBroken: the batch breaks the landing contract as a whole.
        NoData: the store does not answer.
    """
    if landed.of_events:
        return Events(landed, params).digest()
    rows = Rows(landed, params)
    for _ in rows.read():
        pass
    return rows.digest()


def changed(before: str, now: str) -> ContractBroken:
    """The refusal of a batch whose name is known with another digest: what was ingested is immutable."""
    return ContractBroken(
        f"changed after it was ingested (digest {before[:8]}, now {now[:8]}). What was ingested stays as it"
        " is; put the folder back as it was, or land the new rows as a batch of another name"
    )


def ingest(landed: Landed, params: Params, raw: Path, erased: Erased = NOBODY) -> Ingested:
    """Cut a batch into partitions below `raw`. The same batch gives the same names, bytes and digest each time.

    Partitions get their final names only after the whole batch was read, so a batch that fails leaves nothing behind.

    Args:
        landed: from `landing.list_batches`.
        params: names modalities and targets, and how large a partition may be.
        raw: data/1_raw.
        erased: samples of which nothing but the refusal is kept.

    Raises:
        ContractBroken: the batch breaks the landing contract as a whole, or changed while it was read.
        NoData: the store does not answer.
    """
    raw.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{raw.name}.ingest-", dir=raw.parent))
    try:
        cut = _cut_events if landed.of_events else _cut_samples
        identity, cutters, tally = cut(landed, params, temporary, erased)
        batch = Batch(landed.name, identity, {})
        found = {name: _placed(cutter, name, batch.key, raw) for name, cutter in cutters.items()}
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    counts = tally.counts
    present = {} if landed.of_events else {name: counts[name] for name in params.modalities}
    return Ingested(replace(batch, partitions=found), counts["rows"], counts["refused"], present, tuple(tally.examples))


@dataclass
class _Tally:
    """What was counted while a batch was cut."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, line: Line, *modalities: str) -> None:
        self.counts.update(["rows", *modalities])
        if line.refused:
            self.counts["refused"] += 1
            self.examples = [*self.examples, f"row {line.number}: {line.refused}"][:EXAMPLES]


_Cut = tuple[str, dict[str, Cutter], _Tally]  # the batch's digest, finished cutters by name, counts


def _cut_samples(landed: Landed, params: Params, folder: Path, erased: Erased) -> _Cut:
    """Hand each row to the cutters of its modalities and to that of the sample table."""
    rows, tally, limits = Rows(landed, params), _Tally(), params.ingest
    columns = rows.metadata.columns
    cutters = {
        name: Cutter(folder / name, CONTENT, limits.partition_rows, limits.partition_mb << 20) for name in params.modalities
    }
    cutters["samples"] = Cutter(folder / "samples", schema(columns, params), limits.batch_rows, sys.maxsize)
    for line, contents in rows.read():
        kept = _kept(line, erased)
        contents = {} if kept is not line else contents
        cutters["samples"].add(sample(kept, contents, columns, params))
        for name, content in contents.items():
            cutters[name].add({"sample_id": line.cells["sample_id"], "file_name": content.file_name, "data": content.data})
        tally.add(kept, *contents)
    for cutter in cutters.values():
        cutter.close()
    return rows.digest(), cutters, tally


def _cut_events(landed: Landed, params: Params, folder: Path, erased: Erased) -> _Cut:
    events, tally = Events(landed, params), _Tally()
    cutter = Cutter(folder / "events", events.schema(), params.ingest.batch_rows, sys.maxsize)
    for line in events.lines():
        kept = _kept(line, erased)
        cutter.add(events.event(kept))
        tally.add(kept)
    cutter.close()
    return events.digest(), {"events": cutter}, tally


def _kept(line: Line, erased: Erased) -> Line:
    """The row, or what is kept of it when its sample was erased: its number."""
    return Line(line.number, dict.fromkeys(line.cells, ""), REASON) if erased.has(line.cells["sample_id"]) else line


def _placed(cutter: Cutter, name: str, key: str, raw: Path) -> tuple[Partition, ...]:
    """Give a cutter's files their final names: they are whole, and on the disk."""
    placed = []
    for path, rows in cutter.files:
        final = Path(name, f"{key}.parquet" if name in WHOLE else f"{key}-{path.name}")
        (raw / name).mkdir(parents=True, exist_ok=True)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        md5 = file_digest(path, "md5")
        path.replace(raw / final)
        placed.append(Partition(final.as_posix(), rows, md5))
    return tuple(placed)
