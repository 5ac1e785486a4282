"""What the gate judges: read once, aligned by sample, checked for what would make a verdict meaningless."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import NoData
from tasks.files import read_json
from tasks.measures import Interval, Tally, interval, tally
from tasks.params import Gate, Params, keyed_seed
from tasks.paths import MANIFEST, REPORTS
from tasks.tables import read_probabilities


@dataclass(frozen=True)
class Evidence:
    """The inputs of every row.

    Attributes:
        gate: the knobs.
        draws: number of resamples.
        seed: of the run.
        target: the deciding target.
        classes: names of its classes.
        ids: test samples that are labelled in the target, sorted.
        truth: int64 [n], class indices.
        groups: object [n].
        candidate: float64 [n, classes], probabilities.
        reigning: the rows of champion.parquet by `who`: sample ids and probabilities.
        versions: `champion` and `anchor` -> version, None where there is none.
        commonest: class index that most train samples have.
        scores: scores.json.
        expected: ids of the manifest's test samples, sorted.
        found: ids in predictions.parquet, in its order.
    """

    gate: Gate
    draws: int
    seed: int
    target: str
    classes: tuple[str, ...]
    ids: list[str]
    truth: npt.NDArray[np.int64]
    groups: npt.NDArray[np.object_]
    candidate: npt.NDArray[np.float64]
    reigning: dict[str, tuple[list[str], npt.NDArray[np.float64]]]
    versions: dict[str, str | None]
    commonest: int
    scores: dict[str, Any]
    expected: list[str]
    found: list[str]

    def tally(self, predicted: npt.NDArray[np.int64]) -> Tally:
        """The metric's sums by group for these predictions of `ids`."""
        return tally(self.gate.metric, self.truth, predicted, self.groups, len(self.classes))

    def bounds(self, name: str, sums: Tally) -> Interval:
        """Value and one-sided bounds at `gate.confidence`; resamples are keyed by the row's name."""
        rng = np.random.default_rng(keyed_seed(self.seed, "gate", name))
        return interval(sums, rng, self.draws, 1 - self.gate.confidence)

    @property
    def size(self) -> str:
        """How many samples and groups, in words."""
        return f"{len(self.ids)} samples ({len(set(self.groups))} groups)"


def gather(params: Params, registry: dict[str, Any]) -> Evidence:
    """Read scores, predictions and what the reigning models predicted.

    Raises:
        NoData: a report or the manifest is absent.
        ContractBroken: a report is damaged or has other columns than its contract says.
    """
    target = params.gate.target or next(iter(params.targets))
    classes = tuple(read_json(MANIFEST / "manifest.json")["classes"][target])
    manifest = table(MANIFEST / "samples.parquet")
    predictions = table(REPORTS / "evaluate" / "predictions.parquet")
    judged = predictions.filter(pc.is_valid(predictions[target])).sort_by("sample_id")
    read = partial(read_probabilities, target=target, classes=len(classes))
    champion = table(REPORTS / "champion.parquet")
    return Evidence(
        gate=params.gate,
        draws=params.evaluate.bootstrap,
        seed=params.seed,
        target=target,
        classes=classes,
        ids=judged["sample_id"].to_pylist(),
        truth=np.asarray(judged[target].to_numpy(), np.int64),
        groups=np.array(judged["group"].to_pylist(), object),
        candidate=read(judged),
        reigning={who: _of(who, champion, read) for who in ("champion", "anchor")},
        versions={who: registry[who]["version"] for who in ("champion", "anchor")},
        commonest=_commonest(manifest, target),
        scores=read_json(REPORTS / "evaluate" / "scores.json"),
        expected=sorted(manifest.filter(pc.equal(manifest["split"], "test"))["sample_id"].to_pylist()),
        found=predictions["sample_id"].to_pylist(),
    )


def table(path: Any) -> pa.Table:
    """Read a table that a stage wrote."""
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro` the stage that makes it")
    return pq.read_table(path)


def _of(who: str, champion: pa.Table, read: Any) -> tuple[list[str], npt.NDArray[np.float64]]:
    rows = champion.filter(pc.equal(champion["who"], who)).sort_by("sample_id")
    return rows["sample_id"].to_pylist(), read(rows)


def _commonest(manifest: pa.Table, target: str) -> int:
    """The class that most train samples have; the lowest index among equals, 0 without any."""
    labels = manifest.filter(pc.equal(manifest["split"], "train"))[target].drop_null().to_pylist()
    counts = Counter(labels)
    return min(counts, key=lambda index: (-counts[index], index), default=0)
