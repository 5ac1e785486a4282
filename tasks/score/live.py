"""Late labels: how good a version is on what it met after it was made.

A sample that was predicted gets its label later: by an event of its id, or by landing with one in the training zone. Samples
that the version had been made with do not count: it has seen their labels. What comes of it is a point per batch and per day,
and one of all, each with the interval of tasks/intervals.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.evaluate.scores import Sureness
from tasks.index import Batch
from tasks.intervals import interval
from tasks.measures import clipped, said, tally
from tasks.raw import WITHDRAWN, read_events, read_samples
from tasks.score.tables import about
from tasks.targets import RANKING, Output, number, outputs

DAY = "%Y-%m-%d"


@dataclass(frozen=True)
class Met:
    """What a version said of one target of samples whose label is known by now, row by row.

    Attributes:
        output: what is answered.
        rows: `sample_id`, `batch` (its key), `day`, `group`.
        truth: as in `tasks.tables.truth`.
        answer: float64 [n, width].
    """

    output: Output
    rows: pd.DataFrame
    truth: npt.NDArray[Any]
    answer: npt.NDArray[np.float64]

    def where(self, rows: npt.NDArray[np.bool_]) -> "Met":
        """Only some of them."""
        return Met(self.output, self.rows[rows], self.truth[rows], self.answer[rows])


def late_labels(batches: list[Batch], targets: Iterable[str]) -> dict[str, dict[str, str]]:
    """Target -> sample -> its label, as what has landed to train on says by now; the later word holds.

    Args:
        batches: whose tables of samples and events are there, in the order in which they were accepted.
        targets: names.
    """
    events = [event for event in read_events(batches).to_pylist() if not event["refused"]]
    samples = read_samples(batches) if any(batch.of_samples for batch in batches) else pa.table({"sample_id": []})
    gone = {event["sample_id"] for event in events if event["event"] == WITHDRAWN}
    found: dict[str, dict[str, str]] = {}
    for target in targets:
        said_there: dict[str, str] = {}
        if target in samples.column_names:
            taken = samples.select(["sample_id", "refused", target]).to_pylist()
            for row in taken:
                if not row["refused"] and row[target]:
                    said_there.setdefault(row["sample_id"], row[target])
        said_there |= {event["sample_id"]: event["value"] for event in events if event["event"] == target}
        found[target] = {sample: cell for sample, cell in said_there.items() if cell and sample not in gone}
    return found


def met(tables: Iterable[tuple[str, str, Any]], labels: Mapping[str, Mapping[str, str]]) -> dict[str, Met]:
    """Target -> what a version said of the samples whose label is known; none of a target without any.

    Args:
        tables: per batch its key, the day on which it was predicted, and its table of predictions, open for reading.
        labels: from `late_labels`.
    """
    parts: dict[str, list[Met]] = {}
    taken: set[str] = set()  # a sample may have landed in several batches: the first counts
    for key, day, opened in tables:
        with opened as handle:
            file = pq.ParquetFile(handle)
            answered = outputs(about(file).get("targets", {}))
            for target, output in answered.items():
                if found := _met(file, key, day, target, output, labels.get(target, {}), taken):
                    parts.setdefault(target, []).append(found)
            taken |= set(file.read(["sample_id"])["sample_id"].to_pylist())
    return {target: _joined(found) for target, found in parts.items()}


def _met(
    file: pq.ParquetFile, key: str, day: str, target: str, output: Output, labels: Mapping[str, str], taken: set[str]
) -> Met | None:
    known = {sample: cell for sample, cell in labels.items() if sample not in taken and not output.problem(target, cell)}
    names = [target] if output.is_number else [f"{target}__{name}" for name in output.classes]
    kept = []
    for part in file.iter_batches(columns=["sample_id", "group", "timestamp", "seen", *names]):
        rows = part.to_pandas()
        kept.append(rows[rows["sample_id"].isin(known.keys()) & (rows["seen"] == False)])  # noqa: E712 (null: nobody knows)
    rows = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()
    if rows.empty:
        return None
    group = rows["group"].where(rows["group"] != "", rows["sample_id"])
    when = pd.to_datetime(rows["timestamp"], unit="s", utc=True, errors="coerce").dt.strftime(DAY).fillna(day)
    told = pd.DataFrame({"sample_id": rows["sample_id"], "batch": key, "day": when, "group": group})
    truth = np.array([truth_of(known[sample], output) for sample in rows["sample_id"]])
    return Met(output, told, truth, rows[names].to_numpy(np.float64))


def truth_of(cell: str, output: Output) -> Any:
    """A label as metrics take it: the class's index, 0 or 1 for each label, or the value."""
    if output.is_number:
        return number(cell)
    return output.numbered(cell) if output.is_set else output.classes.index(cell)


def _joined(parts: list[Met]) -> Met:
    rows = pd.concat([part.rows for part in parts], ignore_index=True)
    truth, answer = (np.concatenate([getattr(part, name) for part in parts]) for name in ("truth", "answer"))
    return Met(parts[0].output, rows, truth, answer)


def curve(found: Met, metric: str, sure: Sureness) -> dict[str, Any]:
    """The live score of one target: `metric`, `all` (a point), `batches` and `days` (name -> point).

    A point holds `samples`, `groups`, and `value`, `low`, `high`: null where they cannot be told, by fewer than two groups or,
    where ranks count, by one class alone.
    """
    points = {
        name: {key: point(found.where((found.rows[column] == key).to_numpy()), metric, sure) for key in _order(found, column)}
        for name, column in {"batches": "batch", "days": "day"}.items()
    }
    return {"metric": metric, "all": point(found, metric, sure), **points}


def _order(found: Met, column: str) -> list[str]:
    """Batches in the order in which they were predicted, days in that of time."""
    names = list(dict.fromkeys(found.rows[column]))
    return names if column == "batch" else sorted(names)


def point(found: Met, metric: str, sure: Sureness) -> dict[str, Any]:
    """A score with its interval; see `curve`."""
    groups = found.rows["group"].to_numpy(object)
    counts = {"samples": len(groups), "groups": len(set(groups))}
    told: dict[str, float | None] = {"value": None, "low": None, "high": None}
    if metric in RANKING and len(np.unique(found.truth)) < 2:
        return {**counts, **told}
    sums = tally(metric, found.truth, said(metric, found.answer, found.output), groups, len(found.output.classes))
    told["value"] = sums.value
    if counts["groups"] >= 2:
        told |= clipped(interval(sums, sure.generator("live", metric), sure.draws, sure.tail), metric).as_json()
    return {**counts, **told}


def fallen(live: Mapping[str, Any], promised: Mapping[str, float], margin: float) -> str:
    """Why a version is surely worse than it was promoted for, or "".

    Its live score must lie below the lower bound by more than the margin, and all of its interval below the bound.

    Args:
        live: the point of all samples.
        promised: `low`, the lower bound on the test set.
        margin: `gate.margin`.
    """
    value, high = live["value"], live["high"]
    if value is None or high is None or not (value < promised["low"] - margin and high < promised["low"]):
        return ""
    return (
        f"live score {value:.3f} [{live['low']:.3f}, {high:.3f}] on {live['samples']} late labels; when it was promoted,"
        f" {promised['low']:.3f} at least was measured"
    )
