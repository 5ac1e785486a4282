"""What one value came to, and the table of them all."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from tasks.files import read_json
from tasks.intervals import Interval
from tasks.params import Params
from tasks.paths import MANIFEST, REPORTS
from tasks.run.admit import failures
from tasks.tables import labelled, read_answer, truth
from tasks.targets import Output
from tasks.train.inputs import read_outputs

ALONE = "alone-"
COLUMNS = ("train", "samples", "groups", "selected", "score", "low", "high", "single", "single_score")


@dataclass(frozen=True)
class Answered:
    """The selected candidate's answers on the judged test samples.

    Attributes:
        ids: object [n], of the samples.
        groups: object [n].
        truth: [n] or [n, classes], as `tables.truth` has it.
        answer: float64 [n, width], probabilities or values.
        output: what is answered; its classes are what the columns mean.
    """

    ids: npt.NDArray[np.object_]
    groups: npt.NDArray[np.object_]
    truth: npt.NDArray[Any]
    answer: npt.NDArray[np.float64]
    output: Output


@dataclass(frozen=True)
class Row:
    """What one value came to; `score` and `single_score` count as the metric does.

    Attributes:
        value: of the key, as it was asked for; `pooled` for all folds together.
        metric: what is counted.
        train: labelled samples of train; None where several models answered.
        samples: of the test set that are labelled in the gate's target.
        groups: of these.
        selected: the candidate; empty where several models answered.
        score: of the candidate, with its interval.
        single: the best modality alone, empty where several models answered.
        single_score: its score.
        unmet: critical expectations that were not met, each in a sentence.
        answered: what was answered.
    """

    value: str
    metric: str
    train: int | None
    samples: int
    groups: int
    selected: str
    score: Interval
    single: str = ""
    single_score: Interval | None = None
    unmet: tuple[str, ...] = ()
    answered: Answered | None = None


def read_row(work: Path, value: str, params: Params) -> Row:
    """Read what the pipeline made in a workspace."""
    scores = read_json(work / REPORTS / "evaluate/scores.json")
    metric, candidates = scores["metric"], scores["candidates"]
    singles = sorted(name for name in candidates if name.startswith(ALONE))
    single = max(singles, key=lambda name: candidates[name][metric]["value"])
    samples = pq.read_table(work / MANIFEST / "samples.parquet", columns=["split", params.gate.target])
    taught = labelled(truth(samples[params.gate.target])) & (samples["split"].to_numpy(zero_copy_only=False) == "train")
    return Row(
        value,
        metric,
        int(taught.sum()),
        scores["samples"],
        scores["groups"],
        scores["selected"],
        Interval(**candidates[scores["selected"]][metric]),
        single.removeprefix(ALONE),
        Interval(**candidates[single][metric]),
        tuple(failure["reason"] for failure in failures(read_json(work / MANIFEST / "validation.json"))),
        _answered(work, params.gate.target),
    )


def _answered(work: Path, target: str) -> Answered:
    output = read_outputs(work / MANIFEST)[target]
    table = pq.read_table(work / REPORTS / "evaluate/predictions.parquet")
    table = table.filter(labelled(truth(table[target])))
    ids, groups = (np.array(table[name].to_pylist(), object) for name in ("sample_id", "group"))
    return Answered(ids, groups, truth(table[target]), read_answer(table, target, output), output)


def cells(row: Row, digits: int | None = None) -> list[str]:
    """A line of the table: the value, then `COLUMNS`; numbers whole, or with so many digits."""

    def number(value: float | None) -> str:
        if value is None:
            return ""
        return repr(value) if digits is None else f"{value:.{digits}f}"

    score, alone = row.score, row.single_score
    counts = ["" if row.train is None else str(row.train), str(row.samples), str(row.groups), row.selected]
    return [
        row.value,
        *counts,
        *(number(bound) for bound in (score.value, score.low, score.high)),
        row.single,
        number(alone.value if alone else None),
    ]


def as_csv(param: str, rows: Sequence[Row]) -> bytes:
    """The table as CSV: the key, the metric's name, and `COLUMNS`."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([param, *COLUMNS[:4], "metric", *COLUMNS[4:]])
    for row in rows:
        line = cells(row)
        table.writerow([*line[:5], row.metric, *line[5:]])
    return text.getvalue().encode()


def as_text(param: str, rows: Sequence[Row]) -> str:
    """The table for people, words to the left and numbers to the right."""
    heads = [param, "train", "test", "groups", "selected", rows[0].metric, "interval", "best single", ""]
    lines = [heads]
    for row in rows:
        value, train, samples, groups, selected, score, low, high, single, alone = cells(row, 3)
        lines.append([value, train, samples, groups, selected, score, f"[{low}, {high}]", single, alone])
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    left = {0, 4, 7}
    return "\n".join(
        "  ".join(
            text.ljust(width) if place in left else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
