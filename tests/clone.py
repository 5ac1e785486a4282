"""A fresh clone of this repository, in which nights happen, and what Airflow and central tell of them."""

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.embedded.follow import OVER, tasks
from tasks.embedded.rest import Rest
from tasks.run.git import git

LIMIT_S = 1500  # on a machine that others use as well
VIEWER = "ada"  # may look


@dataclass(frozen=True)
class Clone:
    """A clone of this repository and what is done there."""

    folder: Path
    port: int
    mlflow_port: int

    @property
    def home(self) -> Path:
        return self.folder / ".nightloom"

    @property
    def environment(self) -> dict[str, str]:
        ports = {"NIGHTLOOM_PORT": str(self.port), "NIGHTLOOM_MLFLOW_PORT": str(self.mlflow_port)}
        own = {"NIGHTLOOM_VIEWERS": VIEWER, "HOME": str(self.folder.parent), "NIGHTLOOM_SCORE_LANDING": "data/0_to_score"}
        own["NIGHTLOOM_SCHEDULE"] = "0 0 1 1 *"  # what begins a night here is a person or a batch, at whatever hour
        return {**os.environ, **ports, **own}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, *words: str) -> tuple[int, str]:
        """Run `python -m words` in the clone; exit code and output."""
        return self.python("-m", *words)

    def python(self, *words: str) -> tuple[int, str]:
        """Run `python words` in the clone; exit code and output."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        print(done.stdout)
        return done.returncode, done.stdout

    def central(self, *words: str) -> str:
        """A git command in central."""
        return git(*words, cwd=self.home / "central.git")

    def champion(self) -> str:
        """The version that reigns."""
        newest = self.central("for-each-ref", "--sort=-v:refname", "--format=%(objectname)", "refs/tags/fused-model#champion#*")
        return self.central("tag", "--list", "fused-model@*", "--points-at", f"{newest.split()[0]}^{{commit}}").split("@")[1]


def order(output: str, state: str) -> list[str]:
    """Task ids in the order in which they got a state."""
    return re.findall(rf"^\s*\d+:\d+\s+(\S+)\s+{state}\b", output, re.MULTILINE)


def encoders(lock: str) -> list[str]:
    """The content of the encoders that a dvc.lock names."""
    return re.findall(r"path: (data/5_models/encoders/\w+)\n\s+hash: md5\n\s+md5: (\w+)", lock)


def until(found: Callable[[], Any], late: Callable[[], str]) -> Any:
    """Wait for something true."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(1)
    raise AssertionError(late())


def landed(rest: Rest, number: int) -> str:
    """Wait for the end of the n-th run that a batch began; its id."""
    query = {"run_type": "asset_triggered", "order_by": "run_after"}

    def over() -> str | None:
        runs = rest.call("GET", "/dags/retrain/dagRuns", **query)["dag_runs"]
        return str(runs[number - 1]["dag_run_id"]) if len(runs) >= number and runs[number - 1]["state"] in OVER else None

    return str(until(over, lambda: f"run {number} that a batch begins did not end"))


def names(rest: Rest, run: str) -> list[str]:
    """The tasks of a run, each with its state."""
    return sorted(f"{task['task_id']} {task['state']}" for task in tasks(rest, "retrain", run))


def age(database: Path, run: str) -> None:
    """Let a run have been a hundred days ago."""
    long_ago = f"{datetime.now(UTC) - timedelta(days=100):%Y-%m-%d %H:%M:%S.%f}"
    with sqlite3.connect(database, timeout=60) as connection:
        for table in ("dag_run", "task_instance"):
            connection.execute(f"UPDATE {table} SET start_date = ?, end_date = ? WHERE run_id = ?", (long_ago, long_ago, run))  # noqa: S608
    connection.close()
