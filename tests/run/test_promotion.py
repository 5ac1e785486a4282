"""What the tasks after `close` do with its answer, without a scheduler: skipped, failed, tried again."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
)

from tasks.run.promotion import AGAIN, Again, Asked, Close, Promote, Recorded, Verify, next_id

RUN = "scheduled__2026-11-21T02:00:00+00:00"


class Instance:
    """A task instance: XComs of other tasks in, its own out."""

    def __init__(self, **others: Any) -> None:
        self.others, self.pushed = others, None
        self.failure: str | None = None

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.others.get(task_ids) if key == "return_value" else self.others.get("failures", {}).get(task_ids)

    def xcom_push(self, key: str, value: Any) -> None:
        if key == "failure":
            self.failure = value
        else:
            assert key == "return_value"
            self.pushed = value


def context(run: str = RUN, **others: Any) -> dict[str, Any]:
    dag_run = SimpleNamespace(dag_id="retrain", triggering_user_name="ada")
    return {"ti": Instance(**others), "run_id": run, "params": {"revision": "x"}, "dag_run": dag_run}


def closed(outcome: str = "judged", verdict: Any = "promote", **more: Any) -> dict[str, Any]:
    body = {"outcome": outcome, "problems": ["told"], "dry_run": False, "verify": False, "verdict": {"verdict": verdict}}
    return {**body, **({"verdict": verdict} if isinstance(verdict, dict) else {}), **more}


def wants_a_person(**more: Any) -> dict[str, Any]:
    return closed(commit="c0ffee", **{"verdict": {"verdict": "promote", "approval": "few groups"}} | more)


def close() -> Close:
    return Close(task_id="close", verb="close", stages=[])


@pytest.mark.parametrize(
    ("answer", "idle"),
    [
        (closed(), ["verify", "approve"]),
        (closed(verify=True), ["approve"]),
        (wants_a_person(), ["verify"]),
        (wants_a_person(dry_run=True), ["verify", "approve", "promote", "again"]),
        (closed(verdict="reject"), ["verify", "approve", "promote", "again"]),
        (closed(verdict="reject", shadow=True), ["verify", "approve", "promote"]),
        (closed(dry_run=True), ["verify", "approve", "promote", "again"]),
        (closed("nothing new"), ["verify", "approve", "promote", "again"]),
        (closed("overtaken"), ["verify", "approve", "promote"]),
    ],
)
def test_what_has_nothing_to_do_is_not_even_started(answer: dict[str, Any], idle: list[str]) -> None:
    told = context()
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        close().read(answer, {}, told)
    assert skipped.value.tasks == idle
    again = f"again-1__{RUN}" if answer["outcome"] == "overtaken" else None
    assert told["ti"].pushed == {**answer, "again": again, "shadow": f"shadow__{RUN}" if answer.get("shadow") else None}
    for task in {"verify", "promote"} & set(idle):  # and a person who starts one by hand is told
        operator = (Verify if task == "verify" else Promote)(task_id=task, verb=task)
        with pytest.raises(AirflowSkipException, match=f"{task} has nothing to do"):
            operator.request(context(close=answer))


def test_with_gate_verify_and_a_person_everything_follows() -> None:
    answer = wants_a_person(verify=True)
    assert close().read(answer, {}, context()) == {**answer, "again": None, "shadow": None}
    approved = {"answer": "approved", "by": "ada", "reason": "looked at", "commit": "c0ffee"}
    for operator in (Verify(task_id="verify", verb="verify"), Promote(task_id="promote", verb="promote")):
        asked = operator.request(context(close=answer, approve=approved))
        assert asked["closed"] == answer
    assert asked["approved"] == approved


@pytest.mark.parametrize(
    ("approved", "says"),
    [
        (None, r"nobody approved \(few groups\)"),
        ({"answer": "rejected", "by": "ada", "reason": "no", "commit": "c0ffee"}, "nobody approved"),
    ],
)
def test_without_a_persons_yes_nothing_is_promoted_even_by_hand(approved: Any, says: str) -> None:
    with pytest.raises(AirflowSkipException, match=says):
        Promote(task_id="promote", verb="promote").request(context(close=wants_a_person(), approve=approved))


def test_a_yes_holds_for_the_commit_that_was_shown() -> None:
    told = context(close=wants_a_person(), approve={"answer": "approved", "by": "ada", "reason": "x", "commit": "another"})
    with pytest.raises(AirflowFailException, match="commit another was approved, not c0ffee"):
        Promote(task_id="promote", verb="promote").request(told)


def test_close_hears_why_stages_failed_and_leaves_its_own_reason() -> None:
    opened = {"commit": "c0ffee", "stages": ["validate", "train@mean"], "batches": []}
    told = context(open=opened, failures={"train.mean": "no rows to train on"})
    assert close().request(told)["failures"] == {"train@mean": "no rows to train on"}
    with pytest.raises(AirflowFailException, match="failed: told"):
        close().read(closed("failed"), {}, told)
    assert told["ti"].failure == "failed: told"


@pytest.mark.parametrize("outcome", ["failed", "batch rejected"])
def test_a_run_that_went_wrong_is_red(outcome: str) -> None:
    told = context()
    with pytest.raises(AirflowFailException, match=f"{outcome}: told"):
        close().read(closed(outcome), {}, told)
    assert told["ti"].pushed["outcome"] == outcome


def test_a_run_is_tried_again_three_times_under_ids_of_its_own() -> None:
    ids = [RUN]
    while following := next_id(ids[-1]):
        ids.append(following)
    assert ids == [RUN, *(f"again-{count}__{RUN}" for count in range(1, AGAIN + 1))]
    for operator, answer in (
        (close(), closed("overtaken")),
        (Promote(task_id="promote", verb="promote"), {"promoted": False, "overtaken": "told"}),
    ):
        with pytest.raises(AirflowFailException, match=r"told\. This was the last of 3 more tries"):
            operator.read(answer, {}, context(ids[-1]))


def test_an_overtaken_run_is_triggered_as_it_was_asked_for() -> None:
    for others in ({"close": {"again": "again-1__r"}}, {"close": {"again": None}, "promote": {"again": "again-1__r"}}):
        with pytest.raises(DagRunTriggerException) as triggered:
            Again(task_id="again").execute(context(**others))
        asked = triggered.value
        assert (asked.trigger_dag_id, asked.dag_run_id, asked.conf) == ("retrain", "again-1__r", {"revision": "x"})
        assert asked.skip_when_already_exists  # asked twice is once
    with pytest.raises(AirflowSkipException, match="not overtaken, and no shadow run is due"):
        Again(task_id="again").execute(context(close={"again": None}))


def test_a_candidate_that_differs_is_not_promoted_and_says_where() -> None:
    operator = Verify(task_id="verify", verb="verify")
    assert operator.read({"differing": []}, {}, context()) == {"differing": []}
    with pytest.raises(AirflowFailException, match="not promoted: made again, the candidate differs: select: out x: wanted"):
        operator.read({"differing": ["select: out x: wanted md5 1, got 2"]}, {}, context())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"promoted": False, "overtaken": "champion #5 is v2.0.0"}, r"not promoted: champion #5 is v2\.0\.0"),
        ({"promoted": False, "refused": "rolled back by #4"}, "not promoted: rolled back by #4"),
    ],
)
def test_what_is_not_promoted_is_skipped_and_the_run_stays_green(answer: dict[str, Any], says: str) -> None:
    told = context()
    with pytest.raises(AirflowSkipException, match=says):
        Promote(task_id="promote", verb="promote").read(answer, {}, told)
    again = {"again": f"again-1__{RUN}"} if "overtaken" in answer else {}
    assert told["ti"].pushed == {**answer, **again}


def test_what_is_promoted_is_not_tried_again() -> None:
    told = context()
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        Promote(task_id="promote", verb="promote").read({"promoted": True}, {}, told)
    assert (skipped.value.tasks, told["ti"].pushed) == (["again"], {"promoted": True})


def test_a_shadow_run_that_is_due_begins_after_the_promotion_and_waits_for_an_overtaken_run() -> None:
    due = {"again": None, "shadow": "shadow__r"}
    assert Promote(task_id="promote", verb="promote").read({"promoted": True}, {}, context(close=due)) == {"promoted": True}
    for promoted, asked in (({"promoted": True}, ("shadow__r", {"shadow": True})), ({"again": "a"}, ("a", {"revision": "x"}))):
        with pytest.raises(DagRunTriggerException) as triggered:
            Again(task_id="again").execute(context(close=due, promote=promoted))
        assert (triggered.value.dag_run_id, triggered.value.conf) == asked


def test_what_a_person_asks_for_goes_with_who_asked() -> None:
    asked = Asked(task_id="rollback", verb="rollback").request(context())
    assert asked == {"verb": "rollback", "run": RUN, "form": {"revision": "x"}, "by": "ada"}
    record = Recorded(task_id="record", verb="attest")
    assert record.request(context(remake={"differing": []}))["remade"] == {"differing": []}
    with pytest.raises(AirflowFailException, match=r"v1\.0\.0 differs: out x; out y"):
        record.read({"version": "v1.0.0", "differing": ["out x", "out y"]}, {}, context())
    unnamed = {**context(), "dag_run": SimpleNamespace(dag_id="rollback", triggering_user_name=None)}
    assert Asked(task_id="rollback", verb="rollback").request(unnamed)["by"] == "trigger form"
