"""What Airflow's processes see: settings, who may log in, and secrets that are made once."""

import base64
import json
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Any

import yaml

from tasks.embedded.preflight import named_port
from tasks.embedded.sample import landing_of
from tasks.errors import WrongValue
from tasks.files import write_bytes
from tasks.run.settings import Settings

USER = "nightloom"
AT_ONCE = 3  # tasks, on two cores: while one waits for git, DVC or Airflow another can compute


def environment(s: Settings, root: Path, port: int) -> dict[str, str]:
    """What Airflow's processes, and so its tasks, see: of the caller's shell all but Airflow's settings, its connections too.

    Args:
        s: where things are.
        root: the checkout, below which a relative landing folder is.
        port: of the API server.
    """
    home = s.home / "airflow"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW_", "PYTHONPATH", "GIT_"))}
    kept |= {key: value for key, value in os.environ.items() if key.startswith("AIRFLOW_CONN_")}  # a mail server's
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
        "NIGHTLOOM_LANDING": landing(s, root),
        "NIGHTLOOM_SCORE_LANDING": score_landing(s, root),
        "NIGHTLOOM_MLFLOW_URL": s.mlflow_url or f"http://127.0.0.1:{named_port('NIGHTLOOM_MLFLOW_PORT')}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # nine processes, for evaluations that are asked for in its UI
        "DO_NOT_TRACK": "true",
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{key}": value for key, value in _options(s, home, port).items()},
    }


def landing(s: Settings, root: Path) -> str:
    """The landing zone that the deployed commit names; a relative one is below the checkout."""
    place = s.landing or landing_of(_deployed_params(s))
    return place if "://" in place else str(root / place)


def score_landing(s: Settings, root: Path) -> str:
    """The same of the zone of batches that are to be scored; "" where there is none."""
    place = s.score_landing or str((_deployed_params(s).get("score") or {}).get("landing", ""))
    return place if "://" in place or not place else str(root / place)


def fitted_at_once(s: Settings) -> int:
    """How many models are fitted at a time: one on a GPU, as many as there are tasks at once on the processor."""
    return AT_ONCE if _deployed_params(s).get("device", "cpu") == "cpu" else 1


def _deployed_params(s: Settings) -> dict[str, Any]:
    return yaml.safe_load((s.home / "deployed" / "params.yaml").read_text()) or {}


def _options(s: Settings, home: Path, port: int) -> dict[str, str]:
    own = secret_values(home)
    return {
        "CORE__DAGS_FOLDER": str(s.home / "deployed" / "dags"),
        "CORE__PLUGINS_FOLDER": str(s.home / "deployed" / "tasks" / "ui" / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "tasks.embedded.executor.LocalExecutor",
        # A worker process learns of its task's end up to 5 s late, while the next task waits for a free one: so there are more
        # of them than tasks at once.
        "CORE__PARALLELISM": str(4 * AT_ONCE),
        "CORE__MAX_ACTIVE_TASKS_PER_DAG": str(AT_ONCE),
        "CORE__FERNET_KEY": own["fernet"],
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join([f"{USER}:admin", *(f"{name}:viewer" for name in viewers())]),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__WORKERS": "1",
        "API__SECRET_KEY": own["session"],
        "API_AUTH__JWT_SECRET": own["jwt"],
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "60",  # s, to see a DAG file that is new
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",  # s, to read a known one again
        "LOGGING__BASE_LOG_FOLDER": str(s.home / "logs" / "tasks"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(s.home / "logs" / "dags"),
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",  # s, until a task whose worker was killed is tried again
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",  # s, to look for tasks of a scheduler that was killed
        "SCHEDULER__TASK_QUEUED_TIMEOUT": "120",  # s, until a task that no worker takes is queued again
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",  # s, to look for ended tasks: twelve wait for one another in a night
        "WORKERS__EXECUTION_API_RETRIES": "30",  # an API server that is away for a minute costs no healthy task its life
        "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "5",  # s
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


def viewers() -> list[str]:
    """Who may look, but neither trigger nor approve: the names of NIGHTLOOM_VIEWERS.

    Raises:
        WrongValue: one is no name.
    """
    names = re.split(r"[\s,]+", os.environ.get("NIGHTLOOM_VIEWERS", "").strip(" ,\n"))
    if wrong := [name for name in names if name == USER or not re.fullmatch(r"[\w.@-]*", name)]:
        raise WrongValue(f"NIGHTLOOM_VIEWERS must be names such as `ada, bob`, none of them {USER}; got {', '.join(wrong)}")
    return [name for name in names if name]


def password(home: Path, user: str = USER) -> str:
    """A user's generated login of the UI and the API, made once."""
    path = home / "passwords.json"
    made: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    if user not in made:
        made[user] = secrets.token_urlsafe(16)
        _write_private(path, made)
    return made[user]


def _write_private(path: Path, content: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)  # before there is anything to read
    write_bytes(path, json.dumps(content).encode())
    path.chmod(0o600)
