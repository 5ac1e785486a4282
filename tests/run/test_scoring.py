"""What the tasks of the DAG `score` make of an answer, without a scheduler."""

from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
)

from tasks.run.scoring import Retrain, Score
from tests.run.test_promotion import context

LIVE = {"version": "v1.0.0", "target": "label", "targets": {"label": {"all": {"samples": 80}}}, "fallen": "live score 0.7"}


def answer(**more: Any) -> dict[str, Any]:
    return {"version": "v1.0.0", "problems": [], "batches": [], "live": None, "retrain": False, **more}


def read(**more: Any) -> Any:
    told = context()
    return Score(task_id="score", verb="score").read(answer(**more), {}, told), told["ti"].pushed


@pytest.mark.parametrize("quiet", [{}, {"retrain": True}, {"live": LIVE}, {"live": {**LIVE, "fallen": ""}, "retrain": True}])
def test_without_a_fall_or_unasked_no_night_is_started(quiet: dict[str, Any]) -> None:
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        read(**quiet)
    assert skipped.value.tasks == ["retrain"]


def test_a_fall_starts_one_shadow_run_per_number_of_labels() -> None:
    found, pushed = read(live=LIVE, retrain=True)
    assert found["run"] == pushed["run"] == "live__v1.0.0__80"
    told = context(score=found)
    with pytest.raises(DagRunTriggerException) as triggered:
        Retrain(task_id="retrain").execute(told)
    asked = triggered.value
    assert (asked.trigger_dag_id, asked.dag_run_id, asked.conf) == ("retrain", "live__v1.0.0__80", {"shadow": True})
    assert asked.skip_when_already_exists
    with pytest.raises(AirflowSkipException, match=r"has not fallen, or score\.retrain is off"):
        Retrain(task_id="retrain").execute(context(score=answer()))


def test_a_refused_batch_fails_the_task_after_the_others_were_predicted() -> None:
    with pytest.raises(AirflowFailException, match="batch b: of another unit"):
        read(problems=["batch b: of another unit"], batches=[{"batch": "a"}])


def test_nothing_to_do_is_skipped_and_says_why() -> None:
    told = context()
    with pytest.raises(AirflowSkipException, match="no champion yet"):
        Score(task_id="score", verb="score").read({"nothing": "there is no champion yet"}, {}, told)
    assert told["ti"].pushed["nothing"] == "there is no champion yet"


def test_who_predicts_is_asked_in_the_form() -> None:
    told = {**context(), "params": {"version": "v1.0.0"}}
    assert Score(task_id="score", verb="score").request(told)["version"] == "v1.0.0"
