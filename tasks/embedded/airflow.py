"""Airflow's processes on loopback: started, and waited for."""

import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from tasks.embedded.group import Group, tail
from tasks.embedded.rest import Rest, Unreachable
from tasks.errors import TasksError
from tasks.files import write_bytes
from tasks.run.settings import Settings

WAIT_S = 180  # for Airflow to answer, then for the DAG to be read
PROCESSES = {
    "api-server": ["api-server"],  # host, port and workers are settings
    "scheduler": ["scheduler", "--skip-serve-logs"],  # logs are read from disk; the log server would bind every address
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


class NotReady(TasksError):
    """Airflow started, but does not do what is needed."""


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
        log = s.home / "logs" / f"{name}.log"
        log.unlink(missing_ok=True)
        group.start(name, command(*PROCESSES[name]), log, again=True)


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


def set_pool(rest: Rest, name: str, slots: int) -> None:
    """Create a pool, or change its size; a task of a pool that is not there waits for ever.

    Args:
        rest: the API.
        name: the pool's.
        slots: tasks at once.
    """
    pool = {"name": name, "slots": slots, "description": f"{slots} at a time, by `device` in params.yaml"}
    if (found := rest.find(f"/pools/{name}")) is None:
        rest.call("POST", "/pools", pool)
    elif found["slots"] != slots:
        rest.call("PATCH", f"/pools/{name}", {**pool, "include_deferred": False})


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
