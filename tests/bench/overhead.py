"""What orchestration costs: `python -m tests.bench.overhead`.

One night of the sample with the default parameters, three times in one run, each from nothing: the DAG under Airflow, `dvc
repro`, and, one after another, the bare commands that do what the DAG's tasks do: `python -m tasks.ingest`, the stages,
`python -m tasks.measure`. Ends with one line of JSON; exit code 1 when orchestration costs more than 4 CPU seconds a task, or
the DAG takes more than 1.5 times the bare commands' wall time. `stages_alone` holds the DAG against the stages' commands only.
"""

import json
import os
import sys
import tempfile
from contextlib import chdir
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from tasks.embedded import environment, follow, preflight
from tasks.embedded.group import Group
from tasks.embedded.night import DAG, one_night, prepare, start
from tasks.embedded.rest import Rest
from tasks.embedded.sample import land_next
from tasks.run.git import git
from tasks.run.settings import Settings, settings
from tests.bench.bare import bare_workspace, command, stage_commands
from tests.bench.cpu import Spent, measured

ROOT = Path(__file__).resolve().parent.parent.parent
CPU_S_A_TASK = 4.0
WALL_RATIO = 1.5
KINDS = {  # part of a command line -> whose it is
    "tasks.embedded": "airflow",
    "airflow api": "airflow api-server",
    "dag-processor": "airflow dag-processor",
    "airflow worker": "airflow task",
    "scheduler": "airflow scheduler",
    "-m tasks.run": "runner",
    "git": "runner",
    "-m tasks.": "stage",
}


def night(root: Path, s: Settings) -> tuple[Spent, str, list[dict[str, Any]]]:
    """The DAG from trigger to end: what it took, the run's commit, its task instances."""
    commit = preflight.check_checkout(root)
    prepare(root, s)
    print(land_next(root, commit, s), flush=True)
    port = preflight.port("NIGHTLOOM_PORT")
    with Group(environment.environment(s, root, port), cwd=s.home / "deployed") as group:
        rest = start(group, s, port, ("api-server", "scheduler", "dag-processor"))
        with measured(KINDS) as spent:
            done = one_night(group, rest, s)
        if not done.done or done.opened is None:
            raise SystemExit(f"the night did not end well: {done}")
        return spent, done.opened["commit"], breakdown(rest, done.run)


def breakdown(rest: Rest, run: str) -> list[dict[str, Any]]:
    """Per task, in seconds of wall time: when it was queued, its start, running in all, and the parts that the runner tells."""
    found, first = [], None
    for task in follow.tasks(rest, DAG, run):
        moments = [datetime.fromisoformat(task[key]) for key in ("queued_when", "start_date", "end_date") if task[key]]
        if len(moments) == 3:
            answer = rest.xcom(DAG, run, task["task_id"]) or {}
            parts = answer.get("spent_s", {})
            start_s, run_s = (round((to - since).total_seconds(), 2) for since, to in pairwise(moments))
            first = first or moments[0]
            at_s = round((moments[0] - first).total_seconds(), 2)
            found.append({"task": task["task_id"], "at": at_s, "start": start_s, "run": run_s, **parts})
    return found


def by_dvc(s: Settings, commit: str) -> Spent:
    """`dvc repro` in a clean clone whose raw data is there."""
    with bare_workspace(s, commit) as folder, measured(KINDS) as spent:
        command(["dvc", "repro", "--quiet", "--no-run-cache"], folder, s)
    return spent


def bare(root: Path, s: Settings, commit: str) -> dict[str, Spent]:
    """The commands one after another: stages in a clean clone whose raw data is there, ingest where the batch landed."""
    with bare_workspace(s, commit) as folder:
        stages = stage_commands(folder)
        with measured(KINDS) as alone:
            for line in stages.values():
                command(["sh", "-c", line], folder, s)
        with measured(KINDS) as beside:
            command(["python", "-m", "tasks.ingest"], root, s)
            command(["python", "-m", "tasks.measure"], folder, s)
    return {"bare stages": alone, "bare ingest, measure": beside}


def main() -> int:
    """Measure, print, judge."""
    with tempfile.TemporaryDirectory(prefix="bench-overhead-") as place:
        root = Path(place) / "clone"
        git("clone", "--quiet", str(ROOT), str(root))
        os.environ["NIGHTLOOM_HOME"] = str(root / ".nightloom")
        with chdir(root):
            s = settings()
            dag, commit, tasks = night(root, s)
            parts = {"dag": dag, "dvc repro": by_dvc(s, commit), **bare(root, s, commit)}
    for task in tasks:
        print("  ".join([f"{task['task']:<20}", *(f"{name} {value:6.2f}" for name, value in task.items() if name != "task")]))
    return judge(parts, tasks)


def judge(parts: dict[str, Spent], tasks: list[dict[str, Any]]) -> int:
    """Print the table and the line of JSON; 1 below the bar."""
    print(f"\n{'':<22}{'wall s':>8}{'CPU s':>8}   by kind of process")
    for name, spent in parts.items():
        print(f"{name:<22}{spent.wall_s:8.1f}{spent.cpu_s:8.1f}   {spent.kinds}")
    told = over(parts, len(tasks), "bare stages", "bare ingest, measure")
    passed = told["cpu_s_a_task"] <= CPU_S_A_TASK and told["wall_ratio"] <= WALL_RATIO
    alone = over(parts, len(tasks), "bare stages")
    figures = {name: {"wall_s": round(spent.wall_s, 1), "cpu_s": round(spent.cpu_s, 1)} for name, spent in parts.items()}
    print(json.dumps({**told, "tasks": len(tasks), "passed": passed, "stages_alone": alone, **figures, "breakdown_s": tasks}))
    return 0 if passed else 1


def over(parts: dict[str, Spent], tasks: int, *bare: str) -> dict[str, float]:
    """What the DAG costs over some bare commands: CPU seconds a task, and its wall time as a multiple of theirs."""
    cpu_s, wall_s = (sum(getattr(parts[name], of) for name in bare) for of in ("cpu_s", "wall_s"))
    return {
        "cpu_s_a_task": round((parts["dag"].cpu_s - cpu_s) / tasks, 2),
        "wall_ratio": round(parts["dag"].wall_s / wall_s, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
