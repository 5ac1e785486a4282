"""A person's word as an Airflow task, without a scheduler: what is asked, what is answered, what follows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
    TaskAwaitingInput,
)

from tasks.run.approval import Approve, body, read
from tests.run.test_promotion import RUN, context, wants_a_person

ADA = {"id": "7", "name": "ada"}


def row(name: str, verdict: str, reason: str, blocking: bool = True) -> dict[str, Any]:
    return {"name": name, "verdict": verdict, "reason": reason, "blocking": blocking}


ROWS = [
    row("whole", "pass", "all there"),
    row("champion", "pass", "0.93 against 0.90 of v1.0.0"),
    row("samples", "fail", "few `samples`\n![x](http://example.org/x.png)", blocking=False),
    row("anchor", "not applicable", "none"),
]


def waiting(**more: Any) -> dict[str, Any]:
    verdict = {"verdict": "promote", "approval": "few groups", "decided_by": "champion", "rows": ROWS}
    verdict |= {"champion": {"number": 1, "version": "v1.0.0"}}
    return wants_a_person(verdict=verdict, report="/reports/r/index.html", **more)


def event(option: str = "Approve", reason: Any = " looked\n at ", user: Any = ADA) -> dict[str, Any]:
    given = {"reason": reason} if reason is not None else {}
    return {"chosen_options": [option], "params_input": given, "responded_at": datetime.now(UTC), "responded_by_user": user}


def approve() -> Approve:
    return Approve(task_id="approve")


def test_it_asks_with_the_rows_that_decide_and_waits_without_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **given: asked.update(given))  # goes to Airflow's supervisor
    monkeypatch.setenv("NIGHTLOOM_APPROVAL_HOURS", "36")
    heard: list[Any] = []
    operator = Approve(task_id="approve", notifiers=[heard.append])
    around = context(close=waiting())
    around["ti"].id = "ti"
    around["task_instance"] = around["ti"]
    with pytest.raises(TaskAwaitingInput) as parked:
        operator.execute(around)
    assert (parked.value.method_name, parked.value.timeout) == ("execute_complete", timedelta(hours=36))
    assert (asked["subject"], asked["options"]) == (f"Promote the candidate of run {RUN}?", ["Approve", "Reject"])
    assert asked["defaults"] is None  # nobody's answer is not taken for somebody's
    assert asked["params"]["reason"]["schema"]["type"] == "string"  # a field that Airflow's UI wants filled
    assert heard == [around]
    assert "36 hours" in asked["body"]


def test_what_the_person_reads() -> None:
    lines = body(waiting(), 72).splitlines()
    assert lines[0] == "The gate says **promote**. A person is asked, because `few groups`"
    assert lines[2:5] == [
        "- champion, pass: `0.93 against 0.90 of v1.0.0`",
        "- samples, fail (warns): `few 'samples' ![x](http://example.org/x.png)`",  # in a code span: no picture is fetched
        "- passed as well: whole",
    ]
    for line in (
        "- reigning now: `fused-model@v1.0.0`",
        "- report: the run's tab Report, or `/reports/r/index.html`",
        "- commit: `c0ffee`",
    ):
        assert line in lines


def test_nobody_is_asked_who_is_not_wanted() -> None:
    for closed in (None, waiting(dry_run=True), {**waiting(), "verdict": {"verdict": "promote"}}):
        with pytest.raises(AirflowSkipException, match="nobody is to be asked"):
            approve().execute(context(close=closed))


def test_a_wait_that_is_no_time_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLOOM_APPROVAL_HOURS", "soon")
    around = context(close=waiting())
    with pytest.raises(AirflowFailException, match="NIGHTLOOM_APPROVAL_HOURS must be hours"):
        approve().execute(around)
    assert "'soon'" in around["ti"].failure


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (event(), "approved by ada: looked at"),
        (event("Reject", "bad labels"), "rejected by ada: bad labels"),
        (event(reason=None), "approved by ada: no reason given"),
        ({"error": "late", "error_type": "timeout"}, "not approved: nobody answered in time (NIGHTLOOM_APPROVAL_HOURS)"),
    ],
)
def test_an_answer_says_who_and_why(given: dict[str, Any], says: str) -> None:
    assert read(given)["told"] == says


@pytest.mark.parametrize(
    "given",
    [event("Maybe"), event(user=None), {**event(), "chosen_options": []}, {"error": "x", "error_type": "unknown"}],
)
def test_what_is_no_answer_is_asked_again(given: dict[str, Any]) -> None:
    with pytest.raises(AirflowException, match="Airflow brought no answer"):
        read(given)


def test_a_yes_goes_on_even_when_mlflow_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NIGHTLOOM_HOME", str(tmp_path))
    monkeypatch.setenv("NIGHTLOOM_MLFLOW", "nowhere://")
    answer = approve().execute_complete(context(close=waiting()), event())
    assert answer == {**read(event()), "commit": "c0ffee"}
    said = capfd.readouterr().out
    assert "approved by ada: looked at" in said
    assert "MLflow does not show the answer" in said


@pytest.mark.parametrize(("due", "skipped"), [(None, ["promote", "again"]), ("shadow__r", ["promote"])])
def test_a_no_ends_green_and_a_shadow_run_that_is_due_begins(
    due: str | None, skipped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Approve, "_note", lambda *_: None)  # MLflow's seconds: tests/test_night.py looks there
    around = context(close=waiting(shadow=due))
    with pytest.raises(DownstreamTasksSkipped) as ended:
        approve().execute_complete(around, event("Reject", "bad labels"))
    assert ended.value.tasks == skipped
    assert around["ti"].pushed == {**read(event("Reject", "bad labels")), "commit": "c0ffee"}
