"""What comes after a run has closed, as Airflow tasks: verify, promote, again; and what a person asks for in a form.

`approve`, between verify and promote, is in approval.py.
"""

import re
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowSkipException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
)

from tasks.run.approval import APPROVED, wanted
from tasks.run.operators import After, Step, fail, failure

AGAIN = 3  # times that an overtaken run is tried once more
_AGAIN_ID = re.compile(r"again-(\d+)__(.*)", re.DOTALL)


def next_id(run: str) -> str | None:
    """The id under which an overtaken run is tried once more; None when it was tried often enough."""
    match = _AGAIN_ID.fullmatch(run)
    count, first = (int(match[1]), match[2]) if match else (0, run)
    return f"again-{count + 1}__{first}" if count < AGAIN else None


class Close(After):
    """Close the run, fail when it failed, and start no later task that has nothing to do."""

    def request(self, context: Any) -> dict[str, Any]:
        """Add why stages failed, as far as they could tell."""
        body = super().request(context)
        lost = [stage for stage in body["opened"]["stages"] if stage not in body["fragments"]]
        told = {stage: failure(context, stage.replace("@", ".")) for stage in lost}
        return {**body, "failures": {stage: why for stage, why in told.items() if why}}

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Fail after recording when a stage or the batch did; what is skipped here costs no process."""
        run = context["run_id"]
        answer = {**answer, "again": next_id(run) if answer["outcome"] == "overtaken" else None}
        answer |= {"shadow": f"shadow__{run}" if answer.get("shadow") else None}
        context["ti"].xcom_push(key="return_value", value=answer)
        told = f"{answer['outcome']}: {'; '.join(answer['problems'])}"
        if answer["outcome"] in {"failed", "batch rejected"}:
            fail(context, told)
        if answer["outcome"] == "overtaken" and not answer["again"]:
            fail(context, f"{told}. This was the last of {AGAIN} more tries: trigger it when less is at work")
        if idle := idle_after(answer):
            raise DownstreamTasksSkipped(tasks=idle)  # type: ignore[no-untyped-call]  # Airflow's
        return answer


def idle_after(closed: Any) -> list[str]:
    """The later tasks that a closed run leaves nothing to do for."""
    if closed["outcome"] == "overtaken":
        return ["verify", "approve", "promote"]
    if closed["outcome"] == "nothing new" or closed["dry_run"] or closed["verdict"]["verdict"] != "promote":
        return ["verify", "approve", "promote", *([] if closed.get("shadow") else ["again"])]
    return [*([] if closed["verify"] else ["verify"]), *([] if wanted(closed) else ["approve"])]


class Closed(Step):
    """A task after `close`, which may have nothing to do."""

    def request(self, context: Any) -> dict[str, Any]:
        """Add what `close` returned; skip when that leaves nothing to do (Airflow lets a person start any task)."""
        closed = context["ti"].xcom_pull(task_ids="close")
        if closed is None or self.task_id in idle_after(closed):
            raise AirflowSkipException(f"{self.task_id} has nothing to do: see the task `close`")
        return {**super().request(context), "closed": closed}


class Verify(Closed):
    """Make the candidate again from nothing; another one than before is not promoted."""

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Fail when the bytes differ, and say where."""
        if answer["differing"]:
            context["ti"].xcom_push(key="return_value", value=answer)
            fail(context, f"not promoted: made again, the candidate differs: {'; '.join(answer['differing'])}")
        return answer


class Promote(Closed):
    """Write the registry's tags; a verdict about a champion that was replaced meanwhile is judged again."""

    def request(self, context: Any) -> dict[str, Any]:
        """Add a person's word where one is wanted; it holds for the commit that the person was shown."""
        asked = super().request(context)
        if not (why := wanted(asked["closed"])):
            return asked
        approved = context["ti"].xcom_pull(task_ids="approve") or {}
        if approved.get("answer") != APPROVED:
            raise AirflowSkipException(f"promote has nothing to do: nobody approved ({why}); see the task `approve`")
        if approved["commit"] != asked["closed"]["commit"]:
            fail(
                context,
                f"commit {approved['commit']} was approved, not {asked['closed']['commit']}: clear `approve` to ask again",
            )
        return {**asked, "approved": approved}

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Skip when nothing was promoted, and say why."""
        if "overtaken" in answer:
            answer = {**answer, "again": next_id(context["run_id"])}
        context["ti"].xcom_push(key="return_value", value=answer)
        if "overtaken" in answer and not answer["again"]:
            fail(context, f"{answer['overtaken']}. This was the last of {AGAIN} more tries: trigger it")
        if "overtaken" in answer:
            raise AirflowSkipException(f"not promoted: {answer['overtaken']}")
        if "refused" in answer:
            raise AirflowSkipException(f"not promoted: {answer['refused']}")
        if not (context["ti"].xcom_pull(task_ids="close") or {}).get("shadow"):
            raise DownstreamTasksSkipped(tasks=["again"])  # type: ignore[no-untyped-call]  # Airflow's
        return answer


class Again(BaseOperator):
    """Trigger an overtaken run once more, as it was asked for, so that it is judged against what is there now.

    Or the shadow run that is due: a night of its own, which no other waits for.
    """

    def execute(self, context: Any) -> None:
        """Trigger it under an id of its own: asked twice is once."""
        answers = [context["ti"].xcom_pull(task_ids=task) or {} for task in ("close", "promote")]
        run = next((answer["again"] for answer in answers if answer.get("again")), None)
        conf = dict(context["params"])
        if run is None:
            run, conf = answers[0].get("shadow"), {"shadow": True}
        if run is None:
            raise AirflowSkipException("this run was not overtaken, and no shadow run is due")
        raise triggered(context["dag_run"].dag_id, run, conf)


def triggered(dag: str, run: str, conf: dict[str, Any]) -> DagRunTriggerException:
    """What a task raises to start a run, unless it is there already.

    It is what TriggerDagRunOperator does; importing that one costs each task of the DAG a third of a second.
    """
    return DagRunTriggerException(
        trigger_dag_id=dag,
        dag_run_id=run,
        conf=conf,
        reset_dag_run=False,
        skip_when_already_exists=True,
        wait_for_completion=False,
        allowed_states=[],
        failed_states=[],
        poke_interval=60,
        deferrable=False,
    )


class Asked(Step):
    """Do what a person asked for in the trigger form."""

    def request(self, context: Any) -> dict[str, Any]:
        """Add the form and who sent it, as far as Airflow tells."""
        by = getattr(context["dag_run"], "triggering_user_name", None) or "trigger form"
        return {**super().request(context), "form": dict(context["params"]), "by": by}


class Recorded(Asked):
    """Record in the registry what making a version again came to."""

    def request(self, context: Any) -> dict[str, Any]:
        """Add what `remake` returned."""
        return {**super().request(context), "remade": context["ti"].xcom_pull(task_ids="remake")}

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Fail when the version differs, and say where."""
        if answer["differing"]:
            context["ti"].xcom_push(key="return_value", value=answer)
            fail(context, f"{answer['version']} differs: {'; '.join(answer['differing'])}")
        return answer
