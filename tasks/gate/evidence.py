"""What the gate judges: read once, aligned by sample, checked for what would make a verdict meaningless."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import ContractBroken, NoData
from tasks.files import read_json
from tasks.intervals import Interval, interval
from tasks.measures import blind, constant, said, tally
from tasks.params import Gate, Params, Validate, keyed_seed
from tasks.paths import MANIFEST, REPORTS
from tasks.slices import slices
from tasks.tables import read_answer, truth, without
from tasks.tally import Tally
from tasks.targets import Output, outputs

Rows = npt.NDArray[np.bool_]

# The manifest of the night that made a reigning model: empty where there is none, or where samples of it were erased.
PINNED = {"champion": Path("data/champion_manifest"), "anchor": Path("data/anchor_manifest")}


@dataclass(frozen=True)
class Evidence:
    """The inputs of every row.

    Attributes:
        gate: the knobs.
        draws: number of resamples.
        seed: of the run.
        target: the deciding target.
        output: what is answered for it.
        ids: test samples that are labelled in the target, sorted.
        truth: [n], class indices int64 or values float64.
        groups: object [n].
        candidate: float64 [n, width], its answers.
        reigning: the rows of champion.parquet by `who`: sample ids and answers.
        arrived: bool [n] by `who`: whether a sample landed after that model was promoted, which so was not chosen by it.
        versions: `champion` and `anchor` -> version, None where there is none.
        slices: bool [n] by name, parts of the samples that are looked at apart.
        constant: what is answered without looking: the class index that most train samples have, 0 or 1 [classes] of several
            labels, or the mean of the values.
        scores: scores.json.
        expected: ids of the manifest's test samples, sorted.
        found: ids in predictions.parquet, in its order.
        robustness: robustness.json.
        without: `candidate` and `champion` -> modality -> float64 [n, width], its answers to `ids` without that modality.
        drift: the columns in the manifest's drift.json, of batches that landed since the champion's promotion.
        validate: the knobs of what is told of the data.
        judged: the manifest's rows of `ids`, with their contents.
        taught: `candidate`, `champion` and `anchor` -> rows of that model's manifest that taught it, with their contents where
            these are known; none of a model whose manifest is not there.
    """

    gate: Gate
    draws: int
    seed: int
    target: str
    output: Output
    ids: list[str]
    truth: npt.NDArray[Any]
    groups: npt.NDArray[np.object_]
    candidate: npt.NDArray[np.float64]
    reigning: dict[str, tuple[list[str], npt.NDArray[np.float64]]]
    arrived: dict[str, npt.NDArray[np.bool_]]
    versions: dict[str, str | None]
    slices: dict[str, Rows]
    constant: npt.NDArray[Any]
    scores: dict[str, Any]
    expected: list[str]
    found: list[str]
    robustness: dict[str, Any] = field(default_factory=dict)
    without: dict[str, dict[str, npt.NDArray[np.float64]]] = field(default_factory=dict)
    drift: list[dict[str, Any]] = field(default_factory=list)
    validate: Validate = field(default_factory=Validate)
    judged: pa.Table | None = None
    taught: dict[str, pa.Table] = field(default_factory=dict)

    def tally(self, answer: npt.NDArray[np.float64], rows: Rows | None = None) -> Tally:
        """The metric by group for these answers [n, width] to `ids`, or to some of them."""
        chosen = slice(None) if rows is None else rows
        return self._score(said(self.gate.metric, answer[chosen], self.output), chosen)

    @property
    def prior(self) -> Tally:
        """The metric by group of answering without looking."""
        return self._score(blind(self.gate.metric, self.constant, len(self.ids), self.output), slice(None))

    def _score(self, predicted: npt.NDArray[Any], rows: Rows | slice) -> Tally:
        return tally(self.gate.metric, self.truth[rows], predicted, self.groups[rows], len(self.output.classes))

    def bounds(self, name: str, sums: Tally) -> Interval:
        """Value and one-sided bounds at `gate.confidence`; resamples are keyed by the row's name."""
        rng = np.random.default_rng(keyed_seed(self.seed, "gate", name))
        return interval(sums, rng, self.draws, 1 - self.gate.confidence)

    @property
    def size(self) -> str:
        """How many samples and groups, in words."""
        return self.size_of(np.ones(len(self.ids), bool))

    def size_of(self, rows: Rows) -> str:
        """The same of some of the samples."""
        return f"{int(rows.sum())} samples ({len(set(self.groups[rows]))} groups)"


def gather(params: Params, registry: dict[str, Any]) -> Evidence:
    """Read scores, predictions and what the reigning models predicted.

    Raises:
        NoData: a report or the manifest is absent.
        ContractBroken: a report is damaged or has other columns than its contract says.
    """
    target = params.gate.target
    output = outputs(read_json(MANIFEST / "manifest.json")["targets"])[target]
    manifest = with_contents(table(MANIFEST / "samples.parquet"), table(MANIFEST / "contents.parquet"))
    predictions = table(REPORTS / "evaluate" / "predictions.parquet")
    judged = predictions.filter(pc.is_valid(predictions[target])).sort_by("sample_id")
    read = partial(read_answer, target=target, output=output)
    champion = table(REPORTS / "champion.parquet")
    ids = judged["sample_id"].to_pylist()
    known = {name: row for row, name in enumerate(manifest["sample_id"].to_pylist())}
    rows = manifest.take(pa.array([known[name] for name in ids if name in known], pa.int64()))
    landed = dict(zip(rows["sample_id"].to_pylist(), rows["batch"].to_pylist(), strict=True))
    return Evidence(
        gate=params.gate,
        draws=params.evaluate.bootstrap,
        seed=params.seed,
        target=target,
        output=output,
        ids=ids,
        truth=truth(judged[target]),
        groups=np.array(judged["group"].to_pylist(), object),
        candidate=read(judged),
        reigning={who: _of(who, champion, read) for who in ("champion", "anchor")},
        arrived={who: _arrived(ids, landed, registry[who]["batches"]) for who in ("champion", "anchor")},
        versions={who: registry[who]["version"] for who in ("champion", "anchor")},
        slices=slices(rows, params.validate.slices, target, output, params.gate.metric) if len(rows) == len(ids) else {},
        constant=constant(truth(manifest.filter(pc.equal(manifest["split"], "train"))[target])),
        scores=read_json(REPORTS / "evaluate" / "scores.json"),
        expected=sorted(manifest.filter(pc.equal(manifest["split"], "test"))["sample_id"].to_pylist()),
        found=predictions["sample_id"].to_pylist(),
        robustness=read_json(REPORTS / "robustness" / "robustness.json"),
        without={
            "candidate": _with_unused(_without(judged, target, output), read(judged), params),
            "champion": _without(_rows(champion, ids), target, output),
        },
        drift=_since(read_json(MANIFEST / "drift.json")["columns"], registry["champion"]["batches"]),
        validate=params.validate,
        judged=rows,
        taught={"candidate": teaching(manifest)} | {who: teaching(of) for who, of in pinned().items()},
    )


def table(path: Any) -> pa.Table:
    """Read a table that a stage wrote."""
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro` the stage that makes it")
    return pq.read_table(path)


def with_contents(samples: pa.Table, contents: pa.Table) -> pa.Table:
    """The manifest's rows with what contents.parquet tells of them.

    Raises:
        ContractBroken: the two are not of the same samples.
    """
    if samples["sample_id"] != contents["sample_id"]:
        raise ContractBroken("samples.parquet and contents.parquet tell of other samples: `dvc repro -f validate`")
    for name in contents.column_names[1:]:
        samples = samples.append_column(name, contents[name])
    return samples


def pinned() -> dict[str, pa.Table]:
    """The manifests of the reigning models' nights, with their contents where these were kept.

    Raises:
        NoData: a pinned folder is absent, which is not the same as an empty one.
    """
    found = {}
    for who, folder in PINNED.items():
        if not folder.is_dir():
            raise NoData(f"{folder} is not here: `dvc pull {folder}`, or an empty folder when there is no {who}")
        if (folder / "samples.parquet").is_file():
            samples, contents = table(folder / "samples.parquet"), folder / "contents.parquet"
            found[who] = with_contents(samples, table(contents)) if contents.is_file() else samples
    return found


def teaching(manifest: pa.Table) -> pa.Table:
    """The rows that something is fitted to: train, val, and the unlabelled of train."""
    taught = pc.is_in(manifest["split"], pa.array(["train", "val", "calibration"]))
    if "unlabelled" in manifest.column_names:  # older nights had no such column
        taught = pc.or_(taught, manifest["unlabelled"])
    return manifest.filter(taught)


def _since(columns: list[dict[str, Any]], known: Sequence[str]) -> list[dict[str, Any]]:
    """What is told of batches that were not known at a promotion."""
    return [each for each in columns if each["batch"] not in known]


def _of(who: str, champion: pa.Table, read: Any) -> tuple[list[str], npt.NDArray[np.float64]]:
    rows = champion.filter(pc.equal(champion["who"], who)).sort_by("sample_id")
    return rows["sample_id"].to_pylist(), read(rows)


def _rows(champion: pa.Table, ids: list[str]) -> pa.Table:
    """The champion's rows of these samples, in their order; none where one lacks."""
    rows = champion.filter(pc.equal(champion["who"], "champion"))
    place = pc.index_in(pa.array(ids, pa.string()), rows["sample_id"].combine_chunks())
    return rows.take(place) if not place.null_count else rows.slice(0, 0)


def _with_unused(
    without: dict[str, npt.NDArray[np.float64]], answer: npt.NDArray[np.float64], params: Params
) -> dict[str, npt.NDArray[np.float64]]:
    """The same, and of each of the night's modalities that the candidate does not use its own answer; nothing of nothing."""
    return {**dict.fromkeys(params.modalities, answer), **without} if without else {}


def _without(rows: pa.Table, target: str, output: Output) -> dict[str, npt.NDArray[np.float64]]:
    """By modality what was answered without it, where it was asked."""
    begin, names = without(target, ""), {name.rpartition("__")[0] for name in rows.column_names}
    found = {name.removeprefix(begin): read_answer(rows, name, output) for name in sorted(names) if name.startswith(begin)}
    return {m: answer for m, answer in found.items() if len(answer) and np.isfinite(answer).all()}


def _arrived(ids: list[str], landed: Mapping[str, str], known: Sequence[str]) -> Rows:
    """Which samples are of none of the batches that were known at a promotion; one that the manifest lacks is not."""
    seen = {None, *known}
    return np.array([landed.get(name) not in seen for name in ids], bool)
