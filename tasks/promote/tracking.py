"""The door to MLflow: a client of this installation's tracking database, silent and without telemetry."""

import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tasks.run.settings import Settings

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
    if s.mlflow.startswith("sqlite:"):
        Path(urlsplit(s.mlflow).path.removeprefix("/")).parent.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=s.mlflow, registry_uri=s.mlflow)
    return client, _experiment(client, s)


def _experiment(client: Any, s: Settings) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    served = s.mlflow.startswith("http")  # a server knows where its artifacts are
    location = None if served else (s.home / "mlflow" / "artifacts").absolute().as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))


def find_or_create_run(client: Any, experiment: str, run: str, start_ms: int) -> Any:
    """The MLflow run of a Nightloom run: the oldest one, should two tasks have made it at once."""
    escaped = run.replace("'", "")
    found = client.search_runs(
        [experiment], filter_string=f"tags.`{RUN_TAG}` = '{escaped}'", order_by=["attributes.start_time ASC"], max_results=1
    )
    if found:
        return found[0]
    return client.create_run(experiment, start_time=start_ms, run_name=run, tags={RUN_TAG: escaped})
