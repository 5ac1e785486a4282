"""Airflow on loopback: its settings, its secrets, its processes."""

import base64
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.contracts import write_bytes
from tasks.embedded.group import Group, tail
from tasks.embedded.rest import Rest, Unreachable
from tasks.errors import TasksError
from tasks.run.settings import Settings

USER = "nightloom"
WAIT_S = 180  # for Airflow to answer, then for the DAG to be read
AT_ONCE = 2  # tasks
PROCESSES = {
    "api-server": ["api-server"],  # host, port and workers are settings
    "scheduler": ["scheduler", "--skip-serve-logs"],  # logs are read from disk; the log server would bind every address
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


class NotReady(TasksError):
    """Airflow started, but does not do what is needed."""


def environment(s: Settings, root: Path, port: int) -> dict[str, str]:
    """What Airflow's processes, and so its tasks, see. Airflow settings of the caller's shell are left out.

    Args:
        s: where things are.
        root: the checkout, below which a relative landing folder is.
        port: of the API server.
    """
    home = s.home / "airflow"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW_", "PYTHONPATH", "GIT_"))}
    local = ",".join(filter(None, [kept.get("NO_PROXY", kept.get("no_proxy", "")), "127.0.0.1", "localhost"]))
    venv = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": os.pathsep.join([venv, kept.get("PATH", os.defpath)]),
        "PYTHONPATH": str(s.home / "deployed"),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": local,
        "no_proxy": local,
        "NIGHTLOOM_HOME": str(s.home),
        "NIGHTLOOM_LANDING": _absolute(s.landing or landing_of(s), root),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{key}": value for key, value in _options(s, home, port).items()},
    }


def _absolute(landing: str, root: Path) -> str:
    return landing if "://" in landing else str(root / landing)


def landing_of(s: Settings) -> str:
    """The landing zone that the deployed params.yaml names."""
    import yaml

    from tasks.params import Ingest

    params = yaml.safe_load((s.home / "deployed" / "params.yaml").read_text()) or {}
    return str((params.get("ingest") or {}).get("landing", Ingest.landing))


def _options(s: Settings, home: Path, port: int) -> dict[str, str]:
    own = secret_values(home)
    return {
        "CORE__DAGS_FOLDER": str(s.home / "deployed" / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(AT_ONCE),  # one worker process each; Airflow's own default is 32
        "CORE__FERNET_KEY": own["fernet"],
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__WORKERS": "1",
        "API__SECRET_KEY": own["session"],
        "API_AUTH__JWT_SECRET": own["jwt"],
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",  # s, to see a DAG file that is new
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",  # s, to read a known one again
        "LOGGING__BASE_LOG_FOLDER": str(s.home / "logs" / "tasks"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(s.home / "logs" / "dags"),
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",  # s
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",  # s, until a task whose worker was killed is tried again
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def secret_values(home: Path) -> dict[str, str]:
    """The keys that Airflow signs and encrypts with, made once, readable by their owner alone."""
    path = home / "secrets.json"
    if not path.is_file():
        names = ("fernet", "jwt", "session")
        made = {name: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() for name in names}
        _write_private(path, made)
    found: dict[str, str] = json.loads(path.read_text())
    return found


def password(home: Path) -> str:
    """The generated login of the UI and the API, made once."""
    path = home / "passwords.json"
    if not path.is_file():
        _write_private(path, {USER: secrets.token_urlsafe(16)})
    return str(json.loads(path.read_text())[USER])


def _write_private(path: Path, content: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)  # before there is anything to read
    write_bytes(path, json.dumps(content).encode())
    path.chmod(0o600)


def migrate(group: Group, s: Settings) -> None:
    """Make or upgrade Airflow's database; nothing to do when this release has done so before.

    Raises:
        NotReady: it failed.
    """
    stamp = s.home / "airflow" / "migrated"
    release = version("apache-airflow")
    if stamp.is_file() and stamp.read_text() == release and (s.home / "airflow" / "airflow.db").is_file():
        return
    log = s.home / "logs" / "migrate.log"
    group.start("migrate", command("db", "migrate"), log)
    wait(lambda: group.code("migrate") is not None, group, f"Airflow's database was not ready in time; see {log}")
    if not (s.home / "airflow" / "airflow.db").is_file():
        raise NotReady(f"Airflow's database was not made: {tail(log, 3)}")
    write_bytes(stamp, release.encode())


def start(group: Group, s: Settings, names: tuple[str, ...]) -> None:
    """Start Airflow's processes, each with its log under logs/."""
    for name in names:
        group.start(name, command(*PROCESSES[name]), s.home / "logs" / f"{name}.log")


def command(*words: str) -> list[str]:
    """An `airflow` command of this environment."""
    return [sys.executable, "-m", "airflow", *words]


def wait(done: Callable[[], Any], group: Group, late: str, patience_s: float = WAIT_S) -> Any:
    """Wait until `done` gives something true, and give that; Airflow's processes must stay alive meanwhile.

    Raises:
        Ended: one of them died.
        NotReady: it took too long; says `late`.
    """
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        group.check()
        found = done()
        if found:
            return found
        time.sleep(0.3)
    raise NotReady(late)


def answers(rest: Rest) -> bool:
    """Whether the API is there and takes the login."""
    try:
        rest.call("GET", "/dags", limit=1)
    except Unreachable:
        return False
    return True


def create_pool(rest: Rest, name: str = "gpu", slots: int = 1) -> None:
    """Create a pool unless it is there; a task of a pool that is not there waits for ever."""
    if rest.find(f"/pools/{name}") is None:
        rest.call("POST", "/pools", {"name": name, "slots": slots, "description": "one at a time"})


def parsed(rest: Rest, dag: str, since: str) -> bool:
    """Whether Airflow has read this DAG's file since then.

    Args:
        rest: the API.
        dag: the DAG's id.
        since: ISO time in UTC; what Airflow read before may be another commit's.

    Raises:
        NotReady: the file cannot be read; the message holds the error's last line.
    """
    for error in rest.call("GET", "/importErrors")["import_errors"]:
        if error["timestamp"] >= since:
            raise NotReady(f"{error['filename']} cannot be read: {error['stack_trace'].strip().splitlines()[-1]}")
    found = rest.find(f"/dags/{dag}")
    return bool(found and (found["last_parsed_time"] or "") >= since)
