"""What the tasks of the DAG `score` make of an answer, without a scheduler."""

from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
)

from tasks.run.scoring import Notify, Retrain, Score
from tests.run.test_promotion import context

LIVE = {"version": "v1.0.0", "target": "label", "targets": {"label": {"all": {"samples": 80}}}, "fallen": "live score 0.7"}


def answer(**more: Any) -> dict[str, Any]:
    return {"version": "v1.0.0", "problems": [], "batches": [], "live": None, "retrain": False, **more}


def read(**more: Any) -> Any:
    told = context()
    return Score(task_id="score", verb="score").read(answer(**more), {}, told), told["ti"].pushed


FAR = {"batch": "a", "drift": [{"column": "x", "distance": 0.4, "chance": 0.2, "drifted": True}]}
NEAR = {"batch": "b", "drift": [{"column": "x", "distance": 0.1, "chance": 0.2, "drifted": False}]}


@pytest.mark.parametrize(
    ("found", "idle"),
    [
        ({}, ["retrain", "notify"]),
        ({"retrain": True}, ["retrain", "notify"]),
        ({"live": LIVE}, ["retrain", "notify"]),
        ({"live": {**LIVE, "fallen": ""}, "retrain": True, "batches": [NEAR]}, ["retrain", "notify"]),
        ({"live": LIVE, "retrain": True}, ["notify"]),  # that it fell was told before
        ({"live": LIVE, "fell": LIVE["fallen"]}, ["retrain"]),
        ({"batches": [NEAR, FAR, {"batch": "c", "drift": None}]}, ["retrain"]),
    ],
)
def test_what_has_nothing_to_do_is_skipped(found: dict[str, Any], idle: list[str]) -> None:
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        read(**found)
    assert skipped.value.tasks == idle


def test_a_fall_starts_one_shadow_run_and_another_one_when_labels_have_doubled() -> None:
    found, pushed = read(live=LIVE, retrain=True, fell="fell")
    assert found["run"] == pushed["run"] == "live__v1.0.0__64"
    runs = {}
    for labels in (64, 80, 127, 128):
        live = {**LIVE, "targets": {"label": {"all": {"samples": labels}}}}
        runs[labels] = read(live=live, retrain=True, fell="fell")[0]["run"]
    assert list(runs.values()) == ["live__v1.0.0__64"] * 3 + ["live__v1.0.0__128"]
    told = context(score=found)
    with pytest.raises(DagRunTriggerException) as triggered:
        Retrain(task_id="retrain").execute(told)
    asked = triggered.value
    assert (asked.trigger_dag_id, asked.dag_run_id, asked.conf) == ("retrain", "live__v1.0.0__64", {"shadow": True})
    assert asked.skip_when_already_exists
    with pytest.raises(AirflowSkipException, match=r"has not fallen, or score\.retrain is off"):
        Retrain(task_id="retrain").execute(context(score=answer()))


def test_a_refused_batch_fails_the_task_after_the_others_were_predicted() -> None:
    told = context()
    found = answer(problems=["batch b: of another unit"], batches=[NEAR], live=LIVE, retrain=True)
    with pytest.raises(AirflowFailException, match="batch b: of another unit"):
        Score(task_id="score", verb="score").read(found, {}, told)
    assert told["ti"].failure == "batch b: of another unit"
    assert told["ti"].pushed["run"] == "live__v1.0.0__64"  # the fall is acted upon all the same


@pytest.mark.parametrize("others", [{}, {"score": answer(), "failures": {"score": "batch b: of another unit"}}])
def test_a_run_whose_score_failed_fails_by_who_tells_it(others: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="score failed: see that task"):
        Notify(task_id="notify").execute(context(**others))
    Notify(task_id="notify").execute(context(score=answer()))


def test_nothing_to_do_is_skipped_and_says_why() -> None:
    told = context()
    with pytest.raises(AirflowSkipException, match="no champion yet"):
        Score(task_id="score", verb="score").read({"nothing": "there is no champion yet"}, {}, told)
    assert told["ti"].pushed["nothing"] == "there is no champion yet"


def test_who_predicts_is_asked_in_the_form() -> None:
    told = {**context(), "params": {"version": "v1.0.0"}}
    assert Score(task_id="score", verb="score").request(told)["version"] == "v1.0.0"
