"""`make run`: one night, from a landed batch to a verdict."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tasks.embedded import airflow, environment, preflight, scoring
from tasks.embedded.answer import WAITING, told, waiting
from tasks.embedded.deploy import bring_back, deploy
from tasks.embedded.follow import OVER, failures, follow
from tasks.embedded.group import Group
from tasks.embedded.rest import Rest, Unreachable
from tasks.embedded.sample import SAMPLE, land_next
from tasks.embedded.summary import Night, look_further, render
from tasks.errors import Refused
from tasks.params import Ingest
from tasks.run.settings import Settings, approval_hours, channels, settings
from tasks.run.workspace import sweep

DAG = "retrain"
AT_WORK = 2  # runs at once, as dags/retrain.py says; one that waits for a person is one of them


def say(line: str) -> None:
    """Print at once, so that a log shows it when it happens."""
    print(line, flush=True)


def run(root: Path, recipe: str = SAMPLE) -> int:
    """Do one night.

    Args:
        root: the checkout.
        recipe: whose next night lands.

    Returns:
        The exit code: 0 when the run succeeded, or there was nothing new.

    Raises:
        TasksError: something is not as it must be; nothing is left running.
    """
    s = settings()
    commit = preflight.check_checkout(root)
    with preflight.only_one(s.home, "make run"):
        port, mlflow_port = preflight.port("NIGHTLOOM_PORT"), preflight.named_port("NIGHTLOOM_MLFLOW_PORT")
        prepare(root, s)
        say(land_next(root, commit, s, recipe))
        with Group(environment.environment(s, root, port), cwd=s.home / "deployed") as group:
            rest = start(group, s, port, ("api-server", "scheduler", "dag-processor"))
            night = one_night(group, rest, s)
        notes = bring_back(root, s) if night.done and not night.nothing else []
        say(render(night))
        for note in notes:
            say(note)
        if not night.nothing:
            say(look_further(night, port, mlflow_port, None if recipe == SAMPLE else root))
        return 0 if night.done else 1


def prepare(root: Path, s: Settings) -> str:
    """Bring the checkout's commit to where Airflow reads it; say what is left out.

    Raises:
        TasksError: a setting is wrong, also of what is asked for at a night's end: who is told, and how long a person has.
    """
    channels()
    approval_hours()
    missing = preflight.left_out(root)
    if missing:
        say(missing)
    sweep(s.home / "work")
    commit = deploy(root, s)
    say(f"deployed {commit[:10]}")
    if (place := environment.landing(s, root)) == str(root / Ingest.landing):
        Path(place).mkdir(parents=True, exist_ok=True)  # the folder of a fresh clone; another one must be there
    return commit


def start(group: Group, s: Settings, port: int, names: tuple[str, ...]) -> Rest:
    """Start Airflow and wait until it can run the DAG.

    Raises:
        Ended: one of its processes died; the message holds its last lines.
        NotReady: it took too long, or the DAG's file cannot be read.
    """
    began = time.monotonic()
    since = datetime.now(UTC).isoformat()
    say(f"starting Airflow on http://127.0.0.1:{port} (logs: {s.home / 'logs'})")
    rest = Rest(f"http://127.0.0.1:{port}", environment.USER, environment.password(s.home / "airflow"))
    for name in environment.viewers():
        environment.password(s.home / "airflow", name)  # before Airflow makes one and prints it
    if s.mlflow.startswith("sqlite:"):
        group.start("mlflow-tables", [sys.executable, "-m", "tasks.promote.tracking"], s.home / "logs" / "mlflow-tables.log")
    airflow.migrate(group, s)
    airflow.start(group, s, names)
    airflow.wait(lambda: airflow.answers(rest), group, f"Airflow did not answer in time; see {s.home / 'logs'}")
    airflow.set_pool(rest, "gpu", environment.fitted_at_once(s))
    log = s.home / "logs" / "dag-processor.log"
    airflow.wait(lambda: airflow.parsed(rest, DAG, since), group, f"Airflow did not read dags/{DAG}.py in time; see {log}")
    say(f"Airflow is ready after {time.monotonic() - began:.0f} s")
    return rest


def one_night(group: Group, rest: Rest, s: Settings) -> Night:
    """Trigger the DAG, follow it to its end, and gather what it returned."""
    scoring.rest_meanwhile(rest)
    retire_leftovers(rest, say)
    rest.call("PATCH", f"/dags/{DAG}", {"is_paused": False})
    name = str(rest.call("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": {}})["dag_run_id"])
    say(f"triggered {DAG}: {name}")
    _follow(rest, name, group)
    while again := follower(rest, name):
        say(f"run {name} was overtaken by another one; it goes on as {again}")
        name = again
        _follow(rest, name, group)
    shadow = (rest.xcom(DAG, name, "close") or {}).get("shadow")
    if shadow and rest.find(f"/dags/{DAG}/dagRuns/{shadow}"):
        say(f"a shadow run is due, its encoders are fitted on the newest batches: {shadow}")
        _follow(rest, shadow, group)
        say(_shadow_told(rest, shadow))
    state = str(rest.call("GET", f"/dags/{DAG}/dagRuns/{name}")["state"])
    return Night(
        run=name,
        state=state,
        opened=rest.xcom(DAG, name, "open"),
        closed=rest.xcom(DAG, name, "close"),
        promoted=rest.xcom(DAG, name, "promote"),
        approved=rest.xcom(DAG, name, "approve"),
        failures=failures(rest, DAG, name, s.home / "logs" / "tasks") if state != "success" else (),
    )


def _shadow_told(rest: Rest, shadow: str) -> str:
    """How a shadow run ended, in a line."""
    closed, promoted = (rest.xcom(DAG, shadow, task) or {} for task in ("close", "promote"))
    if promoted.get("version") and not {"refused", "overtaken"} & set(promoted):
        return f"the shadow run won: fused-model@{promoted['version']} reigns, later nights keep its encoders"
    state = str(rest.call("GET", f"/dags/{DAG}/dagRuns/{shadow}")["state"])
    outcome = closed.get("outcome", "nothing to do" if state == "success" else "see its logs in Airflow")
    return f"the shadow run ended ({state}): {outcome}; the encoders stay as they were"


def _follow(rest: Rest, name: str, group: Group) -> None:
    try:
        for change in follow(rest, DAG, name, group.check):
            say(change.line())
            if change.state == WAITING:
                say(told(rest, name, rest.xcom(DAG, name, "close")))
    except KeyboardInterrupt:
        say("stopping: the run is marked as failed, the next one starts afresh")
        cut_off(rest, name)
        raise


def follower(rest: Rest, name: str) -> str | None:
    """The run that goes on in place of an overtaken one, once that was triggered; None when this run is the last word."""
    told = [rest.xcom(DAG, name, task) or {} for task in ("close", "promote")]
    again = next((str(answer["again"]) for answer in told if answer.get("again")), None)
    return again if again and rest.find(f"/dags/{DAG}/dagRuns/{again}") else None


def retire_leftovers(rest: Rest, tell: Callable[[str], None]) -> None:
    """Mark runs as failed whose Airflow was cut off; a new run would wait for them.

    Raises:
        Refused: as many as may be at work wait for a person: their answers are not this run's to give.
    """
    patient = waiting(rest)
    if len(patient) >= AT_WORK:
        raise Refused(
            f"{len(patient)} runs wait for a person, and no other can begin: `make up`, and answer {patient[0]} first"
        )
    for left in patient:
        tell(f"run {left} still waits for a person; this one goes on beside it")
    for left in [run for run in active_runs(rest) if run not in patient]:
        tell(f"run {left} was cut off before; it is marked as failed, this run starts afresh")
        cut_off(rest, left)


def active_runs(rest: Rest) -> list[str]:
    """The runs that are not over."""
    found = rest.call("GET", f"/dags/{DAG}/dagRuns", limit=100, state=["queued", "running"])["dag_runs"]
    return [str(run["dag_run_id"]) for run in found if run["state"] not in OVER]


def cut_off(rest: Rest, name: str) -> None:
    """Mark a run as failed; Airflow may be on its way out."""
    try:
        rest.call("PATCH", f"/dags/{DAG}/dagRuns/{name}", {"state": "failed"})
    except Unreachable as error:
        say(f"run {name} could not be marked as failed: {error}")
