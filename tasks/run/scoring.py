"""The tasks of the DAG `score`: predict, and start a shadow run when the live score has fallen."""

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

from tasks.run.operators import Step
from tasks.run.promotion import triggered


class Score(Step):
    """Predict what has landed, hold versions to late labels."""

    def request(self, context: Any) -> dict[str, Any]:
        """Add who predicts."""
        return {**super().request(context), "version": context["params"]["version"]}

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Fail when a batch was refused, after the others were predicted; skip when there was nothing to do."""
        fall = fallen_run(answer)
        answer = {**answer, "run": fall}
        context["ti"].xcom_push(key="return_value", value=answer)
        if "nothing" in answer:
            raise AirflowSkipException(answer["nothing"])
        if answer["problems"]:
            raise AirflowFailException("; ".join(answer["problems"]))
        if fall is None:
            raise DownstreamTasksSkipped(tasks=["retrain"])  # type: ignore[no-untyped-call]  # Airflow's
        return answer


def fallen_run(answer: Any) -> str | None:
    """The run that a fall of the live score starts, where that is asked for: one per version and number of labels."""
    live = answer.get("live") or {}
    if not answer.get("retrain") or not live.get("fallen"):
        return None
    return f"live__{live['version']}__{live['targets'][live['target']]['all']['samples']}"


class Retrain(BaseOperator):
    """Start a shadow run: its encoders are fitted on the newest batches, and it reigns only if it is better."""

    def execute(self, context: Any) -> None:
        """Trigger it under an id of its own: asked twice is once."""
        run = (context["ti"].xcom_pull(task_ids="score") or {}).get("run")
        if not run:
            raise AirflowSkipException("the live score has not fallen, or score.retrain is off")
        raise triggered("retrain", run, {"shadow": True})
