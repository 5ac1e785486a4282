"""Make a registered version again from nothing, and record in the registry whether it came out the same, bit for bit."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the deployed checkout's own tasks/

from airflow.sdk import DAG, Param

from tasks.notices.tell import Notify
from tasks.run.operators import RETRY
from tasks.run.promotion import Asked, Recorded

with DAG(
    "verify",
    description="Is a version still what its tag makes?",
    doc_md=__doc__,
    schedule=None,
    params={"version": Param(type="string", minLength=1, title="Version", description="For example v1.0.0.")},
    is_paused_upon_creation=False,
    default_args=dict(RETRY),
) as dag:
    remake = Asked(task_id="remake", verb="remake", pool="gpu", queue="gpu")
    record = Recorded(task_id="record", verb="attest", queue="control")
    notify = Notify(task_id="notify", queue="control", trigger_rule="one_failed")  # only when one of these failed
    remake >> record
    notify << [remake, record]
