"""Rows of Airflow's and MLflow's databases, by their own commands."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from tasks.embedded.environment import environment
from tasks.errors import TasksError
from tasks.promote import registry
from tasks.promote.tracking import RUN_TAG, connect
from tasks.run.settings import Settings

FOUND = re.compile(r"^Found (\d+) rows meeting deletion criteria", re.MULTILINE)  # what Airflow says of each table
ACTIVE_ONLY, DELETED_ONLY = 1, 2  # MLflow's ViewType


def clean(s: Settings, root: Path, rows_days: int, runs_days: int, yes: bool) -> list[str]:
    """Delete Airflow's rows and MLflow's failed and deleted runs that are older than so many days.

    Args:
        s: where they are.
        root: the checkout.
        rows_days: of Airflow's rows.
        runs_days: of MLflow's runs.
        yes: delete, rather than only look.
    """
    return [_airflow(s, root, rows_days, yes), _mlflow(s, runs_days, yes)]


def _airflow(s: Settings, root: Path, days: int, yes: bool) -> str:
    if not (s.home / "airflow" / "airflow.db").is_file():
        return "Airflow: no database here; on a cluster, `airflow db clean` where it is"
    if not (s.home / "deployed").is_dir():
        return "Airflow: not looked at: `make run` or `make up` makes `deployed` again, which it needs"
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    how = ["--yes", "--skip-archive"] if yes else ["--dry-run"]
    command = [sys.executable, "-m", "airflow", "db", "clean", "--clean-before-timestamp", before, *how]
    rows = sum(map(int, FOUND.findall(_run(command, environment(s, root, 8080)))))
    return f"Airflow: {rows} rows from before {before[:10]}"


def _mlflow(s: Settings, days: int, yes: bool) -> str:
    """Runs without a verdict count as failed; one that a version names stays."""
    if not s.mlflow.startswith("sqlite:") or not Path(urlsplit(s.mlflow).path.removeprefix("/")).is_file():
        return "MLflow: no database here; where it is, `mlflow gc`"
    client, experiment = connect(s)
    named = {tag.trailers.get("Run") for tag in registry.versions(s.central).values()}
    before_ms = (datetime.now(UTC) - timedelta(days=days)).timestamp() * 1000
    active = client.search_runs([experiment], "tags.verdict IS NULL", run_view_type=ACTIVE_ONLY, max_results=10_000)
    failed = [run for run in active if run.info.start_time < before_ms and run.data.tags.get(RUN_TAG) not in named]
    deleted = client.search_runs([experiment], run_view_type=DELETED_ONLY, max_results=10_000)
    ids = [run.info.run_id for run in (*failed, *deleted)]
    if yes and ids:
        for run in failed:
            client.delete_run(run.info.run_id)
        where = ["--backend-store-uri", s.mlflow, "--tracking-uri", s.mlflow]
        _run([sys.executable, "-m", "mlflow", "gc", *where, "--run-ids", ",".join(ids)], None)
    return f"MLflow: {len(failed)} failed runs older than {days} days, {len(deleted)} deleted ones"


def _run(command: list[str], environment: dict[str, str] | None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise TasksError(f"{' '.join(command[2:5])} failed: {last}")
    return done.stdout
