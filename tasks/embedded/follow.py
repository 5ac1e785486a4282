"""One line per task as its state changes, until the run ends."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.embedded.rest import Rest, Unreachable

POLL_S = 2.0  # each answer costs the API server some 0.02 s that the night could use
PATIENCE_S = 180.0  # without an answer, several requests long; SQLite, or the whole machine, may be busy for a while
QUIET = {None, "none", "scheduled", "queued", "removed"}  # states that say nothing to a person
RAN = {"success", "failed", "up_for_retry"}  # states of a task that did something
OVER = {"success", "failed"}  # states of a run
WIDTH = 100


@dataclass(frozen=True)
class Change:
    """A task's new state, `elapsed_s` after the run was triggered; `took_s` once it ended."""

    task: str
    state: str
    elapsed_s: float
    took_s: float | None

    def line(self) -> str:
        """The change in columns."""
        took = "" if self.took_s is None else f"{self.took_s:8.1f} s"
        return f"{clock(self.elapsed_s)}  {self.task:<28} {self.state:<18} {took}".rstrip()


def clock(seconds: float) -> str:
    """Minutes and seconds, e.g. `  2:07`."""
    return f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"


def follow(rest: Rest, dag: str, run: str, check: Callable[[], None]) -> Iterator[Change]:
    """Yield each change of a task's state until the run is over.

    Args:
        rest: the API.
        dag: the DAG's id.
        run: the run's id.
        check: raises when Airflow is no longer there.
    """
    began = answered = time.monotonic()
    seen: dict[str, tuple[Any, ...]] = {}
    while True:
        check()
        try:
            over = rest.call("GET", f"/dags/{dag}/dagRuns/{run}")["state"] in OVER  # asked first: no change is missed
            found = list(tasks(rest, dag, run))
            answered = time.monotonic()
        except Unreachable:
            if time.monotonic() - answered > PATIENCE_S:
                raise
            time.sleep(POLL_S)
            continue
        for task in found:
            name, now = _name(task), (task["state"], task["try_number"])
            if seen.get(name) != now and task["state"] not in QUIET:
                ended = task["duration"] if task["end_date"] and task["state"] in RAN else None
                yield Change(name, task["state"], time.monotonic() - began, ended)
            seen[name] = now
        if over:
            return
        time.sleep(POLL_S)


def tasks(rest: Rest, dag: str, run: str) -> list[dict[str, Any]]:
    """The run's task instances, in the order in which they started."""
    found: list[dict[str, Any]] = []
    while True:
        page = rest.call("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances", limit=100, offset=len(found))
        found += page["task_instances"]
        if not page["task_instances"] or len(found) >= page["total_entries"]:
            return sorted(found, key=lambda t: (t["start_date"] or "9", t["end_date"] or "9", t["task_id"]))


def _name(task: dict[str, Any]) -> str:
    return str(task["task_id"]) if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"


@dataclass(frozen=True)
class Failure:
    """A task that failed: its log on disk and the last lines of it."""

    task: str
    log: Path
    lines: tuple[str, ...]


def failures(rest: Rest, dag: str, run: str, logs: Path) -> list[Failure]:
    """The tasks that failed of themselves, the first one first; `notify` fails because another one did."""
    found = []
    for task in tasks(rest, dag, run):
        if task["state"] == "failed" and task["task_id"] != "notify":
            log = logs / f"dag_id={dag}" / f"run_id={run}" / f"task_id={task['task_id']}"
            log = log / f"map_index={task['map_index']}" if task["map_index"] >= 0 else log
            log = log / f"attempt={task['try_number']}.log"
            found.append(Failure(_name(task), log, tuple(last_lines(log))))
    return found


def last_lines(log: Path, count: int = 6) -> list[str]:
    """What a task's log ends with, as a person reads it: no tracebacks. Airflow writes a JSON object per line."""
    if not log.is_file():
        return ["(no log: the task never started, or its worker was killed)"]
    lines: list[str] = []
    for raw in log.read_text(errors="replace").splitlines():
        lines += [line for line in _told(raw) if not line.startswith(("  ", "Traceback (", "The above exception"))]
    return lines[-count:]


def _told(raw: str) -> list[str]:
    try:
        entry = json.loads(raw)
    except ValueError:
        return [raw] if raw.strip() else []
    if not isinstance(entry, dict):
        return [raw]
    if entry.get("logger") == "task.stdout" or entry.get("level") in {"error", "critical"}:
        details = [f"{d.get('exc_type')}: {d.get('exc_value')}" for d in entry.get("error_detail") or []]
        return [str(entry.get("event", "")), *details]
    return []
