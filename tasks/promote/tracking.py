"""The door to MLflow: a client of this installation's tracking database, silent and without telemetry."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tasks.run.settings import Settings, settings

EXPERIMENT = "nightloom"
RUN_TAG = "nightloom.run"

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported
os.environ["DO_NOT_TRACK"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"


def connect(s: Settings) -> tuple[Any, str]:
    """Open the tracking database, made when it is not there yet.

    Returns:
        An `MlflowClient` for tracking and registry, and the id of the experiment that runs are kept in.
    """
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):  # migrations at INFO, hints for notebooks; importing mlflow sets its own levels
        logging.getLogger(name).setLevel(logging.ERROR)
    with _alone(s):
        client = MlflowClient(tracking_uri=s.mlflow, registry_uri=s.mlflow)
        return client, _experiment(client, s)


@contextmanager
def _alone(s: Settings) -> Iterator[None]:
    """One process at a time: two that make the tables of a new SQLite file at once break each other."""
    if not s.mlflow.startswith("sqlite:"):
        yield
        return
    with (_database(s).parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system lets go of it, however this process ends
        yield


def _database(s: Settings) -> Path:
    path = Path(urlsplit(s.mlflow).path.removeprefix("/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _experiment(client: Any, s: Settings) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    served = s.mlflow.startswith("http")  # a server knows where its artifacts are
    location = None if served else (s.home / "mlflow" / "artifacts").absolute().as_uri()
    try:
        return str(client.create_experiment(EXPERIMENT, artifact_location=location))
    except MlflowException:  # another run was faster
        return str(client.get_experiment_by_name(EXPERIMENT).experiment_id)


def find_or_create_run(client: Any, experiment: str, run: str, start_ms: int) -> Any:
    """The MLflow run of a Nightloom run; should two tasks have made it at once, the same of both whoever asks."""
    escaped = run.replace("'", "")
    wanted = f"tags.`{RUN_TAG}` = '{escaped}'"
    if not client.search_runs([experiment], filter_string=wanted, max_results=1):
        client.create_run(experiment, start_time=start_ms, run_name=run, tags={RUN_TAG: escaped})
    return min(client.search_runs([experiment], filter_string=wanted), key=lambda found: found.info.run_id)


if __name__ == "__main__":  # beside Airflow's start, so that no night waits for the tables of a new SQLite file
    try:
        connect(settings())
    except Exception as error:  # the first run to be logged tries again, and tells people
        print(f"MLflow's tables were not made: {type(error).__name__}: {error}")
