"""`make up`: Airflow and MLflow until Ctrl-C; a new commit of the checkout is deployed when no run is going."""

import sys
import time
from pathlib import Path

from tasks.embedded import airflow, environment, preflight, scoring
from tasks.embedded.answer import waiting
from tasks.embedded.deploy import bring_back, deploy
from tasks.embedded.group import Group
from tasks.embedded.night import DAG, active_runs, prepare, say, start
from tasks.embedded.rest import Rest, Unreachable
from tasks.errors import WrongValue
from tasks.run.git import git
from tasks.run.settings import Settings, settings

POLL_S = 5.0


def up(root: Path) -> int:
    """Start Airflow and MLflow, say where they are, and stay.

    Args:
        root: the checkout.

    Returns:
        The exit code; only an error or Ctrl-C ends it.

    Raises:
        TasksError: something is not as it must be; nothing is left running.
    """
    s = settings()
    preflight.check_checkout(root)
    with preflight.only_one(s.home, "make up"):
        port, mlflow_port = preflight.port("NIGHTLOOM_PORT"), preflight.port("NIGHTLOOM_MLFLOW_PORT")
        if port == mlflow_port:
            raise WrongValue(f"NIGHTLOOM_PORT and NIGHTLOOM_MLFLOW_PORT are both {port}: MLflow needs a port of its own")
        prepare(root, s)
        with Group(environment.environment(s, root, port), cwd=s.home / "deployed") as group:
            rest = start(group, s, port, tuple(airflow.PROCESSES))
            group.start("mlflow", mlflow_command(s, mlflow_port), s.home / "logs" / "mlflow.log")
            rest.call("PATCH", f"/dags/{DAG}", {"is_paused": False})
            if environment.score_landing(s, root):
                scoring.begin(rest, group, f"Airflow did not read dags/score.py in time; see {s.home / 'logs'}")
            late = f"MLflow did not answer in time; see {s.home / 'logs' / 'mlflow.log'}"
            airflow.wait(lambda: preflight.listens(mlflow_port), group, late)
            say(_addresses(s, port, mlflow_port))
            stay(root, s, rest, group)
    return 0


def mlflow_command(s: Settings, port: int) -> list[str]:
    """MLflow's server on loopback, with one worker."""
    (s.home / "mlflow").mkdir(parents=True, exist_ok=True)
    options = {
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
        "--backend-store-uri": s.mlflow,
        "--default-artifact-root": str(s.home / "mlflow" / "artifacts"),
    }
    return [sys.executable, "-m", "mlflow", "server", *(word for pair in options.items() for word in pair)]


def _addresses(s: Settings, port: int, mlflow_port: int) -> str:
    rows = [
        ("Airflow", f"http://127.0.0.1:{port}/dags/{DAG}"),
        ("  user", environment.USER),
        ("  password", environment.password(s.home / "airflow")),
        *((f"  {name}", f"may look: {environment.password(s.home / 'airflow', name)}") for name in environment.viewers()),
        ("MLflow", f"http://127.0.0.1:{mlflow_port}"),
        ("reports", str(s.reports)),
        ("logs", str(s.home / "logs")),
    ]
    return "\n".join(["", *(f"{name:<11} {what}" for name, what in rows), "", "Ctrl-C stops everything."])


def stay(root: Path, s: Settings, rest: Rest, group: Group) -> None:
    """Follow the checkout's commit and fetch what runs made, until something ends.

    Raises:
        Ended: one of the processes died.
    """
    deployed = closed = ""
    deployed = git("rev-parse", "HEAD", cwd=s.home / "deployed")
    while True:
        group.check()
        time.sleep(POLL_S)
        deployed = _follow_checkout(root, s, rest, deployed)
        now = git("for-each-ref", "--format=%(refname)%(objectname)", "refs/heads/nightly", "refs/tags", cwd=Path(s.central))
        if now != closed:
            bring_back(root, s)
            closed = now


def _follow_checkout(root: Path, s: Settings, rest: Rest, deployed: str) -> str:
    head = git("rev-parse", "HEAD", cwd=root)
    if head == deployed:
        return deployed
    try:
        if set(active_runs(rest)) - set(waiting(rest)):
            return deployed  # it goes on with the code that it began with; what a person approves is promoted by any
    except Unreachable:
        return deployed
    deploy(root, s)
    say(f"deployed {head[:10]}: {git('log', '-1', '--format=%s', head, cwd=root)[:60]}")
    return head
