"""The night: dvc.yaml as Airflow tasks, between `open` and `promote`.

Nightly, or when data lands (asset `landing`). Two runs may be at work at once: the one that closes first counts, the other
is run again (`again`) and judged against what is there by then; of two that come to the very same, one has nothing to do.
Every `shadow.nights` nights `again` starts a shadow run, whose encoders are fitted on the newest batches.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the deployed checkout's own tasks/

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param  # noqa: E402

from tasks.notices.tell import Notify, Tell, answered, asked, failed, judged, promoted  # noqa: E402
from tasks.paths import BUNDLE  # noqa: E402
from tasks.run.approval import Approve  # noqa: E402
from tasks.run.assets import CHAMPION, NIGHTLY, landing  # noqa: E402
from tasks.run.graph import Stage, stages, with_upstream  # noqa: E402
from tasks.run.operators import RETRY, Admit, After, Docs, OpenRun, Share, Shares, StageStep, Step  # noqa: E402
from tasks.run.promotion import Again, Close, Promote, Verify  # noqa: E402

AT_ONCE = timedelta(0)  # after its hour no night is made up for: Airflow's default starts one in the first tenth of the day
HOME = Path(os.environ.get("NIGHTLOOM_HOME") or ROOT / ".nightloom")
SCHEDULE = os.environ.get("NIGHTLOOM_SCHEDULE", "0 2 * * *")
SHARES = int(os.environ.get("NIGHTLOOM_SHARES", "1"))
CONTROL = "control"  # the queue of the workers that may write to central; one machine ignores queues
RULE = "none_failed_min_one_success"  # a stage that this run does not have is skipped, what follows is not

FORM = {
    "revision": Param("main", type="string", title="Revision", description="Branch, tag or commit of central to run."),
    "overrides": Param(
        [], type="array", items={"type": "string"}, title="Overrides", description="One per line, e.g. train.epochs=20"
    ),
    "release": Param(
        [], type="array", items={"type": "string"}, title="Release", description="Rejected batches to bring in after all."
    ),
    "move_reference": Param(
        False, type="boolean", title="Move the reference", description="Fit the encoders anew, on all accepted batches."
    ),
    "shadow": Param(
        False, type="boolean", title="Shadow", description="Fit the encoders on the newest batches; they stay if surely better."
    ),
    "dry_run": Param(False, type="boolean", title="Dry run", description="Judge, but neither promote nor move `nightly`."),
}


def scheduling(stage: Stage) -> dict[str, object]:
    """The stage's `meta.airflow` as Airflow's arguments; times are seconds there."""
    times = {"retry_delay", "execution_timeout"}
    return {key: timedelta(seconds=value) if key in times else value for key, value in stage.airflow.items()}


with DAG(
    "retrain",
    description="From a landed batch to a promoted model",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(SCHEDULE, timezone="UTC", run_immediately=AT_ONCE),
        assets=[landing("landing", str(ROOT))],
    ),
    params=FORM,
    catchup=False,
    max_active_runs=2,
    default_args={"queue": "cpu", **RETRY},
) as dag:
    rendered = stages(ROOT, HOME / "graph")
    names = [stage.name for stage in rendered]
    first = with_upstream({stage.name: stage.upstream for stage in rendered}, "validate")  # before a batch is admitted

    open_run = OpenRun(task_id="open", queue=CONTROL, graph={stage.name: list(stage.upstream) for stage in rendered})
    tasks = {
        stage.name: StageStep(
            task_id=stage.task_id, stage=stage.name, upstream=stage.upstream, trigger_rule=RULE, **scheduling(stage)
        )
        for stage in rendered
    }
    shared = {stage.each for stage in rendered if stage.each and SHARES > 1}
    counts = {modality: Shares(task_id=f"share.{modality}", modality=modality, most=SHARES) for modality in sorted(shared)}
    shares = {
        stage.name: Share.partial(
            task_id=f"{stage.task_id}.share",
            stage=stage.name,
            upstream=stage.upstream,
            trigger_rule=RULE,
            **scheduling(stage),
        ).expand(share=counts[stage.each].output)
        for stage in rendered
        if stage.each in shared
    }
    admit = Admit(task_id="admit", queue=CONTROL, verb="admit", stages=sorted(first))
    leaves = sorted(set(names) - {name for stage in rendered for name in stage.upstream})
    makers = [stage.name for stage in rendered if str(BUNDLE) in stage.outs] or leaves
    made = with_upstream({stage.name: stage.upstream for stage in rendered}, *makers)
    lost = Tell(failed)  # of what nothing follows; all else has the task `notify`
    measure = After(task_id="measure", verb="measure", stages=sorted(made), trigger_rule=RULE)
    docs = Docs(
        task_id="docs", queue=CONTROL, verb="docs", stages=sorted(first), trigger_rule="all_done", on_failure_callback=lost
    )
    close = Close(
        task_id="close",
        queue=CONTROL,
        verb="close",
        stages=names,
        trigger_rule="all_done",
        outlets=[NIGHTLY],
        on_success_callback=Tell(judged),
    )
    verify = Verify(task_id="verify", queue="gpu", pool="gpu", verb="verify")  # only with gate.verify: true
    approve = Approve(  # only when the verdict wants a person
        task_id="approve", queue=CONTROL, trigger_rule=RULE, notifiers=[Tell(asked)], on_success_callback=Tell(answered)
    )
    promote = Promote(
        task_id="promote",
        queue=CONTROL,
        verb="promote",
        trigger_rule=RULE,
        outlets=[CHAMPION],
        on_success_callback=Tell(promoted),
    )
    again = Again(task_id="again", queue=CONTROL, trigger_rule=RULE, on_failure_callback=lost)
    notify = Notify(task_id="notify", queue=CONTROL, trigger_rule="one_failed")  # only when one of these failed

    open_run >> list(counts.values())
    for stage in rendered:
        waiting = [tasks[stage.name], *([shares[stage.name]] if stage.name in shares else [])]
        before: list[Step] = [tasks[name] for name in stage.upstream]
        if not stage.upstream and stage.name in first:
            before.append(open_run)
        if stage.name not in first and first.issuperset(stage.upstream):  # the others come after one of these
            before.append(admit)
        for task in before:
            task >> waiting
        waiting[1:] >> tasks[stage.name]
    tasks["validate"] >> admit
    [tasks[name] for name in makers] >> measure  # beside the judging, which waits for none of it
    ending = [*(tasks[name] for name in leaves), admit]
    ending >> docs  # a page for people, beside `close`: earlier it would take processors from the fitting
    [*ending, measure] >> close >> verify >> approve >> promote >> again
    close >> [approve, promote, again]
    verify >> promote
    notify << [close, verify, approve, promote]
