"""The tasks of the DAG `score`: predict, start a shadow run when the live score has fallen, and tell people."""

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

from tasks.notices import notice
from tasks.notices.tell import Tell, scored
from tasks.run.operators import Step, fail, failure
from tasks.run.promotion import triggered


class Score(Step):
    """Predict what has landed, hold versions to late labels."""

    def request(self, context: Any) -> dict[str, Any]:
        """Add who predicts."""
        return {**super().request(context), "version": context["params"]["version"]}

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Fail when a batch was refused, after the others were predicted; skip what has nothing to do.

        Who fails skips nothing: other batches may have drifted, a version may have fallen, all the same.
        """
        answer = {**answer, "run": fallen_run(answer)}
        context["ti"].xcom_push(key="return_value", value=answer)
        if "nothing" in answer:
            raise AirflowSkipException(answer["nothing"])
        if answer["problems"]:
            fail(context, "; ".join(answer["problems"]))
        wanted = {"retrain": answer["run"], "notify": notice.scored(context["run_id"], answer, "")}
        if idle := [task for task, why in wanted.items() if not why]:
            raise DownstreamTasksSkipped(tasks=idle)  # type: ignore[no-untyped-call]  # Airflow's
        return answer


def fallen_run(answer: Any) -> str | None:
    """The run that a fall of the live score starts, where that is asked for: another one each time labels have doubled."""
    live = answer.get("live") or {}
    if not answer.get("retrain") or not live.get("fallen"):
        return None
    labels = live["targets"][live["target"]]["all"]["samples"]
    return f"live__{live['version']}__{1 << (labels.bit_length() - 1)}"


class Retrain(BaseOperator):
    """Start a shadow run: its encoders are fitted on the newest batches, and it reigns only if it is better."""

    def execute(self, context: Any) -> None:
        """Trigger it under an id of its own: asked twice is once."""
        run = (context["ti"].xcom_pull(task_ids="score") or {}).get("run")
        if not run:
            raise AirflowSkipException("the live score has not fallen, or score.retrain is off")
        raise triggered("retrain", run, {"shadow": True})


class Notify(BaseOperator):
    """Tell what `score` came to: a task, since who predicts has no way out on a cluster, and a killed worker tells nothing."""

    def execute(self, context: Any) -> None:
        """Tell it; fail when `score` did, since Airflow calls a run good whose last tasks are."""
        Tell(scored)(context)
        if context["ti"].xcom_pull(task_ids="score") is None or failure(context, "score"):
            raise AirflowFailException("score failed: see that task")
