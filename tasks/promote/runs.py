"""A Nightloom run as an MLflow run: params, metrics, curves, the report and its pictures.

Logged twice, it is there once; a run that ended another way the next time (it failed, was cleared, and went on) is logged anew.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tasks.paths import REPORTS
from tasks.promote.tracking import connect, find_or_create_run
from tasks.report.card import CARD
from tasks.run.git import git
from tasks.run.settings import Settings

BATCH = 1000  # metrics in one request, MLflow's limit
LOGGED = "nightloom.logged"  # a tag: the commit and the outcome that were logged whole
FAILED = ("failed", "batch rejected")
LONGEST = 6000  # characters of a param, MLflow's limit


def log_run(
    s: Settings,
    run: str,
    commit: str,
    outcome: str,
    verdict: Mapping[str, Any] | None,
    scores: Mapping[str, Any] | None,
    curves: Mapping[str, Sequence[Any]],
    work: Path,
    report: Path | None = None,
) -> str:
    """Log a closed run.

    Args:
        s: where MLflow is.
        run: the run's id; one MLflow run each.
        commit: the commit that holds it.
        outcome: how it ended, in a word or two.
        verdict: content of verdict.json, if it came to one.
        scores: content of scores.json, if it came to them.
        curves: name -> one entry per epoch, a number or a mapping of numbers.
        work: a checkout of the run; what lies in its data/6_reports becomes artifacts.
        report: the page for people, beside which its model card may lie.

    Returns:
        The MLflow run's id.
    """
    client, experiment = connect(s)
    at_ms = int(git("log", "-1", "--format=%ct", commit, cwd=work)) * 1000  # the same whenever it is logged
    found = find_or_create_run(client, experiment, run, at_ms)
    run_id = str(found.info.run_id)
    ended = f"{commit} {outcome}"
    if found.data.tags.get(LOGGED) == ended:
        return run_id
    _log(client, run_id, _params(work), [*_metrics(scores, at_ms), *_curves(curves, at_ms)])
    said = {key: verdict[key] for key in ("verdict", "decided_by")} if verdict else {}
    for path in sorted((work / REPORTS).rglob("*")):
        if path.is_file() and path.suffix != ".parquet":  # nothing about single samples leaves DVC
            client.log_artifact(run_id, str(path), str(path.relative_to(work / REPORTS.parent).parent))
    shown = (report, report.with_name(CARD)) if report is not None else ()
    for path in filter(Path.is_file, shown):
        client.log_artifact(run_id, str(path), "report")
    client.set_terminated(run_id, "FAILED" if outcome in FAILED else "FINISHED", end_time=at_ms)
    for key, value in {**said, "commit": commit, "outcome": outcome, LOGGED: ended}.items():  # last: a killed try is done again
        client.set_tag(run_id, key, value)
    return run_id


def tag_run(s: Settings, run: str, tags: Mapping[str, str]) -> None:
    """Add tags to the MLflow run of a Nightloom run."""
    client, experiment = connect(s)
    run_id = find_or_create_run(client, experiment, run, int(time.time() * 1000)).info.run_id
    for key, value in tags.items():
        client.set_tag(run_id, key, value)


def _log(client: Any, run_id: str, params: Mapping[str, str], metrics: Sequence[tuple[str, float, int, int]]) -> None:
    from mlflow.entities import Metric, Param

    pairs = sorted(params.items())
    for start in range(0, len(pairs), 100):
        client.log_batch(run_id, params=[Param(key, value[:LONGEST]) for key, value in pairs[start : start + 100]])
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=[Metric(*metric) for metric in metrics[start : start + BATCH]])


def _params(work: Path) -> dict[str, str]:
    return dict(_flat("", yaml.safe_load((work / "params.yaml").read_text())))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix, str(value)


def _metrics(scores: Mapping[str, Any] | None, at_ms: int) -> Iterator[tuple[str, float, int, int]]:
    """Scores as metrics such as `concat/accuracy`, `concat/accuracy/low` and `complete/concat/accuracy`.

    Those of a target that decides nothing have its name in front, `severity/concat/r2`.
    """
    if scores is None:
        return
    named: dict[str, Mapping[str, Any]] = {}
    for place, body in {"": scores, **{f"{target}/": body for target, body in scores.get("others", {}).items()}}.items():
        complete = body.get("complete", {})
        named[place] = body["candidates"]
        gain = {"gain_over_best_single": complete.get("gain_over_best_single")}
        named[f"{place}complete/"] = {**complete.get("candidates", {}), **gain}
    for prefix, measures in named.items():
        for name, body in measures.items():
            for key, number in _numbers(f"{prefix}{name}", body):
                yield key.removesuffix("/value"), number, at_ms, 0


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(f"{name}/{key}", inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)


def _curves(curves: Mapping[str, Sequence[Any]], at_ms: int) -> Iterator[tuple[str, float, int, int]]:
    for name, points in curves.items():
        for step, point in enumerate(points):
            for key, number in _numbers(f"curve/{name}", point):
                if not key.endswith("/epoch"):  # that is the step
                    yield key, number, at_ms, step
