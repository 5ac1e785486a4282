"""Nightloom in Airflow's UI: the tab `Report` of every run, the entry `Registry` of the menu, each task's link to MLflow.

Every Airflow process loads this file, each task of a night among them: what only the API server needs is imported there.
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # the deployed checkout's own tasks/

from airflow.sdk.bases.operatorlink import BaseOperatorLink  # noqa: E402
from airflow.sdk.plugins_manager import AirflowPlugin  # noqa: E402

VIEWS = [
    {"name": "Report", "href": "nightloom/runs/{DAG_ID}/{RUN_ID}/", "destination": "dag_run", "url_route": "report"},
    {"name": "Registry", "href": "nightloom/registry", "destination": "nav", "url_route": "registry", "nav_top_level": True},
]


class MlflowRun(BaseOperatorLink):
    """From a task to the MLflow run of its run, once `close` has logged it."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address, asked for when somebody looks at the task; empty when there is none."""
        from tasks.ui.runs import mlflow_address

        return mlflow_address(ti_key.dag_id, ti_key.run_id)


LINKS = [MlflowRun()]


class Nightloom(AirflowPlugin):
    """See the module."""

    name = "nightloom"
    external_views = VIEWS
    global_operator_extra_links = LINKS

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # asked for by the API server alone
        """The addresses below /nightloom."""
        from tasks.ui.app import app

        return [{"app": app, "url_prefix": "/nightloom", "name": "Nightloom"}]
