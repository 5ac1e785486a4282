"""What the champion says of batches that nobody has labelled, and how good it is on those whose labels came late.

When a batch lands in `score.landing`, when another version reigns, when a night was closed (asset `to_score`, `champion`,
`nightly`), or by hand. What was predicted by a version is not predicted again.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the deployed checkout's own tasks/

from airflow.sdk import DAG, AssetAny, Param  # noqa: E402

from tasks.notices.tell import Tell, failed  # noqa: E402
from tasks.run.assets import CHAMPION, NIGHTLY, landing  # noqa: E402
from tasks.run.operators import RETRY  # noqa: E402
from tasks.run.scoring import Notify, Retrain, Score  # noqa: E402

CONTROL = "control"  # the queue of the workers that tell people; one machine ignores queues
UNLESS_SKIPPED = "none_skipped"  # also after a failure

with DAG(
    "score",
    description="The champion predicts what has landed for it",
    doc_md=__doc__,
    schedule=AssetAny(landing("to_score", str(ROOT)), CHAMPION, NIGHTLY),
    params={
        "version": Param("", type="string", title="Version", description="Who predicts, e.g. v1.0.0; empty: the champion.")
    },
    max_active_runs=1,
    default_args={"queue": "cpu", **RETRY},
) as dag:
    score = Score(task_id="score", verb="score")
    retrain = Retrain(task_id="retrain", queue=CONTROL, trigger_rule=UNLESS_SKIPPED, on_failure_callback=Tell(failed))
    notify = Notify(task_id="notify", queue=CONTROL, trigger_rule=UNLESS_SKIPPED)
    score >> [retrain, notify]
