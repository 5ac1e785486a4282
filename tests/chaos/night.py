"""One night, disturbed or not, and what it came to."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from tasks.embedded.follow import OVER, tasks
from tasks.embedded.group import Group
from tasks.embedded.night import DAG, start
from tasks.embedded.rest import Rest, Unreachable
from tests.chaos.house import House
from tests.chaos.victims import Kill

PROCESSES = ("api-server", "scheduler", "dag-processor", "triggerer")
LIMIT_S = 1500
POLL_S = 1.0


@dataclass(frozen=True)
class Night:
    """What a night came to.

    Attributes:
        state: of the run.
        lock: dvc.lock of `nightly`; empty when nothing was closed.
        versions: how many were registered.
        seconds: from the trigger to the end of the run.
        tries: of each task.
        work: what all tries of all stages counted.
        recovery_s: per kill, until the next task succeeded.
        kills: what was killed.
        left: processes and workspaces that outlived the night.
        took: seconds in each stage.
    """

    state: str
    lock: str
    versions: int
    seconds: float
    tries: Mapping[str, int]
    work: Mapping[str, int]
    recovery_s: Sequence[float]
    kills: Sequence[Kill]
    left: Sequence[str]
    took: Mapping[str, float]


@dataclass
class Scene:
    """What a disturbance may look at and act on while a night runs."""

    group: Group
    rest: Rest
    run: str
    guard: int
    found: list[dict[str, Any]]  # the run's task instances, as last seen

    def running(self, prefix: str = "") -> list[dict[str, Any]]:
        """The tasks that run, by the beginning of their names."""
        return [task for task in self.found if task["state"] == "running" and task["task_id"].startswith(prefix)]


Disturbance = Callable[[Scene], None]


def night(
    house: House,
    disturb: Disturbance,
    kills: Sequence[Kill] = (),
    changed: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    slots: int = 1,
) -> Night:
    """Do one night in a fresh home.

    Args:
        house: where.
        disturb: called several times a second while the run is at work.
        kills: the disturbance's own list, read when the night is over.
        changed: Airflow's settings that are other than those of the embedded mode.
        overrides: for the trigger form.
        slots: of the pool `gpu`.
    """
    house.fresh()
    s = house.settings
    with Group(house.environment(**(changed or {})), cwd=s.home / "deployed") as group:
        rest = start(group, s, house.port, PROCESSES)
        rest.call("PATCH", "/pools/gpu", {"name": "gpu", "slots": slots, "include_deferred": False})
        rest.call("PATCH", f"/dags/{DAG}", {"is_paused": False})
        began = time.time()
        name = rest.call("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": {"overrides": list(overrides)}})
        scene = Scene(group, rest, str(name["dag_run_id"]), group.guard, [])
        state = _follow(scene, disturb)
        seconds = time.time() - began
        found = _patiently(lambda: tasks(rest, DAG, scene.run))
        took = {t["task_id"]: float(rest.xcom(DAG, scene.run, t["task_id"])["spent_s"]["repro"]) for t in _stages(found)}
    ends = sorted(datetime.fromisoformat(t["end_date"]).timestamp() for t in found if t["state"] == "success")
    recovery = [round(next((end for end in ends if end > kill.at_s), began + seconds) - kill.at_s, 1) for kill in kills]
    return Night(
        state=state,
        lock=house.lock(),
        versions=len(house.versions()),
        seconds=round(seconds, 1),
        tries={t["task_id"]: t["try_number"] for t in found if t["state"] not in {"skipped", None}},
        work=_work(s.home / "logs" / "tasks"),
        recovery_s=recovery,
        kills=list(kills),
        left=_left(house),
        took=took,
    )


def _stages(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [task for task in found if task["operator_name"] == "StageStep" and task["state"] == "success"]


def _follow(scene: Scene, disturb: Disturbance) -> str:
    """Look on until the run is over; Airflow's own processes are started anew by the group, as compose would."""
    end, asked = time.monotonic() + LIMIT_S, 0.0
    while time.monotonic() < end:
        scene.group.check()
        disturb(scene)
        if time.monotonic() - asked > POLL_S:
            asked = time.monotonic()
            with suppress(Unreachable):
                state = scene.rest.call("GET", f"/dags/{DAG}/dagRuns/{scene.run}")["state"]
                scene.found = tasks(scene.rest, DAG, scene.run)
                if state in OVER:
                    return str(state)
        time.sleep(0.05)
    return "too long"


def _patiently(ask: Callable[[], Any]) -> Any:
    """Ask an API server that may be about to start."""
    for _ in range(60):
        with suppress(Unreachable):
            return ask()
        time.sleep(1)
    return ask()


def _work(logs: Path) -> dict[str, int]:
    """The sum of all `work decoded=3 steps=1` lines of all tries, a row that the memo brought counted as decoded."""
    total: Counter[str] = Counter()
    for log in logs.rglob("*.log"):
        for raw in log.read_text(errors="replace").splitlines():
            with suppress(ValueError, AttributeError, TypeError):
                event = json.loads(raw).get("event", "")
                if re.fullmatch(r"work( [a-z_]+=\d+)+", event):
                    for name, number in (pair.split("=") for pair in event.split()[1:]):
                        total[name] += int(number)
    return dict(total)


def _left(house: House) -> list[str]:
    """What should have gone with the night."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            line = " ".join(process.cmdline())
            if process.environ().get("NIGHTLOOM_HOME") == str(house.settings.home):
                found.append(line[:120])
    return found
