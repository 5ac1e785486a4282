"""Make MLflow's mirror of the registry anew, from the tags alone."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the deployed checkout's own tasks/

from airflow.sdk import DAG

from tasks.notices.tell import Tell, failed
from tasks.run.operators import RETRY, Step

with DAG(
    "resync",
    description="MLflow shows what the tags say",
    doc_md=__doc__,
    schedule=None,
    is_paused_upon_creation=False,
    default_args=dict(RETRY),
) as dag:
    Step(task_id="resync", verb="resync", queue="control", on_failure_callback=Tell(failed))
