"""One run: what Airflow knows of it, its page and its card, which lie on this machine or among MLflow's artifacts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tasks.report import PAGE
from tasks.run.admit import page_folder
from tasks.run.settings import Settings, settings

DAG = "retrain"  # the DAG whose runs leave a page
TYPES = {  # what a page is made of
    ".html": "text/html; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".css": "text/css",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
TIMEOUT_S = 10


def state(dag: str, run: str) -> str | None:
    """Airflow's state of a run, e.g. running; None when this DAG has no such run."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag, DagRun.run_id == run))
    return None if found is None else str(getattr(found, "value", found))


def returned(run: str, task: str) -> Any:
    """What a task of this run of `retrain` returned; None when it returned nothing."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    wanted = XComModel.get_many(run_id=run, key="return_value", dag_ids=DAG, task_ids=task)
    with create_session() as session:
        found = session.execute(wanted.with_only_columns(XComModel.value)).first()
    value = None if found is None else found[0]
    return json.loads(value) if isinstance(value, str) else value


def written(s: Settings, run: str, closed: Mapping[str, Any] | None, name: str = PAGE) -> bytes | None:
    """What `close` wrote of a run: its page, or its card.

    Args:
        s: where reports and MLflow are.
        run: the run's id.
        closed: what `close` returned, or None.
        name: of the file.

    Returns:
        Its content; None when it is neither on this machine nor to be had from MLflow.
    """
    path = file(s, run, name)
    return path.read_bytes() if path else _artifact(s, closed, name)


def file(s: Settings, run: str, path: str) -> Path | None:
    """A file of a run's folder below <home>/reports, wherever links lead; None when there is none that may be shown."""
    folder = (s.reports / page_folder(run)).resolve()
    try:
        found = (folder / path).resolve()
        shown = found.is_relative_to(folder) and found.suffix in TYPES and found.is_file()
    except (OSError, ValueError):  # too long; not a name
        return None
    return found if shown else None


def _artifact(s: Settings, closed: Mapping[str, Any] | None, name: str) -> bytes | None:
    """The file out of MLflow: in a cluster it was written on another machine."""
    run = (closed or {}).get("mlflow")
    if not run or not s.mlflow.startswith(("http://", "https://")):
        return None
    wanted = {"run_uuid": run, "path": f"report/{name}"}
    try:
        answer = requests.get(f"{s.mlflow.rstrip('/')}/get-artifact", params=wanted, timeout=TIMEOUT_S)
    except requests.RequestException:
        return None
    return answer.content if answer.ok else None


def mlflow_address(dag: str, run: str) -> str:
    """Where people see this run in MLflow; empty when MLflow has no address for people, or not this run."""
    where = settings().mlflow_url
    found = (returned(run, "close") or {}).get("mlflow") if dag == DAG and where else None
    return f"{where}/#/runs/{found}" if found else ""
