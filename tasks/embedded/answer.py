"""A run that waits for a person: how it is told, and how the person answers from a shell."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tasks.embedded import environment, preflight
from tasks.embedded.rest import Rest
from tasks.embedded.summary import shown
from tasks.errors import NoData, Refused, UnknownName, WrongValue
from tasks.run.settings import settings

DAG, TASK = "retrain", "approve"
WAITING = "awaiting_input"  # Airflow's state of a task that waits for a person
OPTIONS = {"approve": "Approve", "reject": "Reject"}  # tasks/run/approval.py: importing it means importing Airflow


def waiting(rest: Rest) -> list[str]:
    """The runs that wait for a person, the oldest first."""
    query = {"response_received": False, "state": WAITING, "order_by": "created_at", "limit": 100}
    found = rest.call("GET", f"/dags/{DAG}/dagRuns/~/hitlDetails", **query)["hitl_details"]
    return [str(detail["task_instance"]["dag_run_id"]) for detail in found]


def told(rest: Rest, run: str, closed: Mapping[str, Any]) -> str:
    """That a run waits, why, and how to answer."""
    page = f"{rest.url}/dags/{DAG}/runs/{quote(run, safe='')}/tasks/{TASK}/required_actions"
    places = [f"{name}={shlex.quote(os.environ[name])}" for name in ("NIGHTLOOM_HOME", "NIGHTLOOM_PORT") if name in os.environ]
    command = " ".join([*places, shown(Path(sys.executable)), "-m tasks.embedded approve", shlex.quote(run), '--reason "..."'])
    return "\n".join(
        [
            f"the run waits for a person: {closed['verdict']['approval']}",
            f"    what it found   {closed['report']}",
            f"    answer here     {page}",
            f"    or in a shell   cd {shlex.quote(str(Path.cwd()))} && {command}",
            "                    (`reject` says no; Ctrl-C ends the wait, and nothing is promoted)",
        ]
    )


def answer(word: str, run: str | None, reason: str) -> int:
    """Approve or reject what a run would promote.

    Args:
        word: approve or reject.
        run: which; None when only one waits.
        reason: why, for the record.

    Raises:
        WrongValue: there is no reason.
        NoData: no run waits.
        UnknownName: this one does not; lists those that do.
        Refused: several wait, and none is named.
    """
    if not reason.strip():
        raise WrongValue(f"{word}: say why, it is kept with the registry: --reason '...'")
    s = settings()
    if not (s.home / "airflow").is_dir():
        raise NoData(
            f"there is no Airflow in {s.home}: answer in the checkout, or with the NIGHTLOOM_HOME, of `make run` or `make up`"
        )
    port = preflight.named_port("NIGHTLOOM_PORT")
    rest = Rest(f"http://127.0.0.1:{port}", environment.USER, environment.password(s.home / "airflow"))
    run = _which(waiting(rest), run)
    body = {"chosen_options": [OPTIONS[word]], "params_input": {"reason": reason}}
    rest.call("PATCH", f"/dags/{DAG}/dagRuns/{run}/taskInstances/{TASK}/-1/hitlDetails", body)
    print(f"{OPTIONS[word].lower()}: {run}: it goes on", flush=True)
    return 0


def _which(runs: list[str], run: str | None) -> str:
    if not runs:
        raise NoData("no run waits for a person")
    if run is None and len(runs) > 1:
        raise Refused(f"{len(runs)} runs wait for a person, say which: {', '.join(runs)}")
    if run is not None and run not in runs:
        raise UnknownName("run that waits for a person:", run, runs)
    return run or runs[0]
