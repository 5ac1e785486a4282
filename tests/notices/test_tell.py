"""What a run tells, from what its tasks returned, through Airflow's notifier to a server on loopback."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tasks.notices.tell import Notify, Tell, answered, asked, failed, judged, promoted, restored, scored
from tests.notices.servers import Web, serving

RUN = "manual__2026-11-29T02:00:00+00:00"
PAGE = "http://airflow.example.org/dags/retrain/runs/manual__2026-11-29T02%3A00%3A00%2B00%3A00"
REPORT = "report: /reports/r/index.html"
APPROVED = {"answer": "approved", "by": "ada", "reason": "looked at"}


def closed(verdict: str = "promote", **more: Any) -> dict[str, Any]:
    rows = [{"name": "champion", "reason": "0.93 against\n0.90 of v1.0.0"}, {"name": "anchor", "reason": "none"}]
    said = {"verdict": verdict, "decided_by": "champion", "approval": "few groups", "rows": rows}
    body = {"outcome": "judged", "dry_run": False, "problems": [], "verdict": said, "report": "/reports/r/index.html"}
    return {**body, "drifted": [], **more}


def context(task: str, failures: Any = None, dag: str = "retrain", **returned: Any) -> dict[str, Any]:
    def pull(task_ids: str, key: str = "return_value") -> Any:
        return (returned if key == "return_value" else failures or {}).get(task_ids)

    instance = SimpleNamespace(task_id=task, dag_id=dag, xcom_pull=pull)
    return {"run_id": RUN, "ti": instance, "params": {"reason": "it mumbles"}}


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    for name in ("SLACK_WEBHOOK", "MAIL", "NOTICES"):
        monkeypatch.delenv(f"NIGHTLOOM_{name}", raising=False)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example.org/")
    with serving(Web()) as server:
        monkeypatch.setenv("NIGHTLOOM_WEBHOOK", server.url("/canary"))
        yield server


REASON = "champion: 0.93 against 0.90 of v1.0.0"
FORM = "/tasks/approve/required_actions"
REIGNS = {"promoted": True, "version": "v1.0.1", "number": 2}
WHAT_HAPPENS: list[tuple[str, Any, dict[str, Any], list[tuple[str, str, str]]]] = [
    ("close", judged, {"close": closed()}, []),
    ("close", judged, {"close": closed("reject")}, [("rejection", "the candidate was rejected", REASON)]),
    ("close", judged, {"close": closed("reject", dry_run=True, drifted=["x"])}, []),
    ("close", judged, {"close": closed("reject", outcome="overtaken")}, []),
    ("close", judged, {"close": closed(drifted=["a", "b"])}, [("drift", "new data is unlike the reference", "a; b")]),
    ("approve", asked, {"close": closed()}, [("approval", "a candidate waits for your yes or no", f"few groups. {REASON}")]),
    ("approve", answered, {"close": closed(), "approve": APPROVED}, []),
    (
        "approve",
        answered,
        {"close": closed(), "approve": {"answer": "rejected", "by": "ada", "reason": "bad labels"}},
        [("rejection", "the candidate was rejected by ada", "bad labels")],
    ),
    (
        "approve",
        answered,
        {"close": closed(), "approve": {"answer": "timed out", "by": "", "reason": "nobody answered within 72 hours"}},
        [("rejection", "the candidate was not approved", "nobody answered within 72 hours")],
    ),
    (
        "promote",
        promoted,
        {"close": closed(), "promote": REIGNS},
        [("promotion", "fused-model@v1.0.1 reigns as champion number 2", REASON)],
    ),
    (
        "promote",
        promoted,
        {"close": closed(), "promote": REIGNS, "approve": APPROVED},
        [("promotion", "fused-model@v1.0.1 reigns as champion number 2", f"approved by ada: looked at. {REASON}")],
    ),
    ("promote", promoted, {"close": closed(), "promote": {**REIGNS, "promoted": False}}, []),
    (
        "notify",
        failed,
        {"close": closed(outcome="batch rejected", problems=["ids: 3 ids twice"])},
        [("rejection", "a batch was rejected", "ids: 3 ids twice")],
    ),
    (
        "notify",
        failed,
        {"close": closed(outcome="failed", problems=["stage gate did not end well: no rows"])},
        [("failure", "a run failed", "stage gate did not end well: no rows")],
    ),
    (
        "notify",
        failed,
        {"failures": {"open": "unknown revision 'x'", "close": "no run was opened"}},
        [("failure", "a run failed", "open: unknown revision 'x'")],
    ),
    (
        "notify",
        failed,
        {"close": closed(), "failures": {"verify": "made again, the candidate differs"}},
        [("failure", "a run failed", "verify: made again, the candidate differs")],
    ),
    ("docs", failed, {"failures": {"docs": "no room"}}, [("failure", "a run failed", "docs: no room")]),
    ("notify", failed, {}, [("failure", "a run failed", "open: it could not say why")]),
]


@pytest.mark.parametrize(("task", "told", "returned", "wanted"), WHAT_HAPPENS)
def test_each_event_is_told_once_with_what_and_why_and_where(
    web: Web, task: str, told: Any, returned: dict[str, Any], wanted: list[tuple[str, str, str]]
) -> None:
    Tell(told)(context(task, **returned))
    assert [(body["event"], body["what"], body["why"]) for _, body in web.got] == wanted
    for _, body in web.got:
        assert body["link"] == PAGE + (FORM if task == "approve" and told is asked else "")
        assert body["look"] == (REPORT if "close" in returned else f"log of the task {body['why'].split(':')[0]} in Airflow")
        assert len(body["text"].splitlines()) == 3


FAR, NEAR = ({"column": f"audio {n}", "distance": 0.41, "chance": 0.2, "drifted": n == "rms"} for n in ("rms", "peak"))
PREDICTED = {"version": "v1.0.0", "place": "s3://bucket/predictions", "batches": [{"batch": "b1", "drift": [FAR, NEAR]}]}
UNLIKE = "what is to be predicted is unlike the training data"
FAR_TOLD = ("drift", UNLIKE, "b1: audio rms 0.41 from the training data, chance reaches 0.20")
FELL = ("drift", "fused-model@v1.0.0 does worse than it was promoted for", "live score 0.7")
REFUSED = ("failure", "a run failed", "score: batch b2: of another unit")


@pytest.mark.parametrize(
    ("dag", "task", "told", "returned", "wanted"),
    [
        ("score", "notify", scored, {"score": PREDICTED}, [FAR_TOLD]),
        ("score", "notify", scored, {"score": {**PREDICTED, "fell": "live score 0.7"}}, [FAR_TOLD, FELL]),
        ("score", "notify", scored, {"score": {**PREDICTED, "batches": [{"batch": "b1", "drift": [NEAR]}]}}, []),
        ("score", "notify", scored, {"score": {**PREDICTED, "batches": [{"batch": "b1", "drift": None}]}}, []),
        (
            "score",
            "notify",
            scored,
            {"score": PREDICTED, "failures": {"score": "batch b2: of another unit"}},
            [REFUSED, FAR_TOLD],
        ),
        ("score", "notify", scored, {}, [("failure", "a run failed", "score: it could not say why")]),
        (
            "verify",
            "notify",
            failed,
            {"failures": {"record": "v1.0.0 differs: out x"}},
            [("failure", "a run failed", "record: v1.0.0 differs: out x")],
        ),
        (
            "rollback",
            "rollback",
            restored,
            {"rollback": {"version": "v1.0.0", "number": 3, "rolled_back": True}},
            [("promotion", "fused-model@v1.0.0 reigns again as champion number 3", "it mumbles")],
        ),
        ("rollback", "rollback", restored, {"rollback": {"version": "v1.0.0", "number": 3, "rolled_back": False}}, []),
    ],
)
def test_what_other_dags_tell(
    web: Web, dag: str, task: str, told: Any, returned: dict[str, Any], wanted: list[tuple[str, str, str]]
) -> None:
    Tell(told)(context(task, dag=dag, **returned))
    assert [(body["event"], body["what"], body["why"]) for _, body in web.got] == wanted
    assert {body["link"] for _, body in web.got} <= {PAGE.replace("retrain", dag)}


def test_a_failed_run_tells_it_by_a_task_of_its_own(web: Web) -> None:
    with pytest.raises(AirflowFailException, match="this run failed"):  # a last task that is green makes the run green
        Notify(task_id="notify").execute(context("notify", failures={"promote": "no"}))
    assert [body["why"] for _, body in web.got] == ["promote: no"]


def test_a_long_reason_is_cut(web: Web) -> None:
    Tell(failed)(context("docs", failures={"docs": "long " * 1000}))
    [(_, body)] = web.got
    assert len(body["why"]) == 600
    assert body["why"].endswith("…")


def test_nothing_set_is_nobody_told_and_nothing_looked_up(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIGHTLOOM_WEBHOOK")
    Tell(lambda _: pytest.fail("looked up"))(context("close"))
    assert web.got == []


def test_a_mistake_in_the_settings_fails_no_task(
    web: Web, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NIGHTLOOM_NOTICES", "promotions")
    Tell(judged)(context("close", close=closed("reject")))
    monkeypatch.setenv("NIGHTLOOM_NOTICES", "")
    Tell(judged)(context("close", close=None))
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("nobody was told: UnknownName: unknown notice in NIGHTLOOM_NOTICES: 'promotions'; known:")
    assert said[1].startswith("nobody was told: TypeError")
    assert web.got == []
