"""Let an older version reign again: the registry's next entry, with the reason; MLflow follows."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the deployed checkout's own tasks/

from airflow.sdk import DAG, Param

from tasks.notices.tell import Tell, failed, restored
from tasks.run.assets import CHAMPION
from tasks.run.operators import RETRY, Step
from tasks.run.promotion import Asked

with DAG(
    "rollback",
    description="An older version is the champion again",
    doc_md=__doc__,
    schedule=None,
    params={
        "version": Param(type="string", minLength=1, title="Version", description="Who reigns again, for example v1.0.0."),
        "reason": Param(type="string", minLength=1, title="Reason", description="Why; it is kept with the registry."),
    },
    is_paused_upon_creation=False,
    default_args={**RETRY, "queue": "control", "on_failure_callback": Tell(failed)},
) as dag:
    rollback = Asked(task_id="rollback", verb="rollback", outlets=[CHAMPION], on_success_callback=Tell(restored))
    resync = Step(task_id="resync", verb="resync")
    rollback >> resync
