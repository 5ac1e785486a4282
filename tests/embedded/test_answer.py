"""A run that waits for a person, and answers from a shell, with a server on loopback in Airflow's place."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.embedded import __main__ as door
from tasks.embedded import environment
from tasks.embedded import follow as following
from tasks.embedded.answer import told, waiting
from tasks.embedded.deploy import deploy
from tasks.embedded.night import _follow, retire_leftovers
from tasks.embedded.rest import Rest
from tasks.embedded.up import _follow_checkout
from tasks.errors import Refused
from tasks.run.settings import Settings
from tests.embedded.conftest import commit
from tests.embedded.test_follow import Airflow, Handler, task

RUN = "manual__2026-11-29T02:00:00+00:00"


class Asking(Airflow):
    """Has runs that wait for a person, and takes answers."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = _Answered
        self.waiting: list[str] = [RUN]
        self.active: list[str] = []
        self.answers: list[tuple[str, Any]] = []

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        if path.endswith("/dagRuns/~/hitlDetails"):
            assert (query["response_received"], query["state"]) == (["False"], ["awaiting_input"])
            return {"hitl_details": [{"task_instance": {"dag_run_id": run}} for run in self.waiting]}
        if path.endswith("/dagRuns"):
            return {"dag_runs": [{"dag_run_id": run, "state": "running"} for run in self.active]}
        return super().answer(path, query)


class _Answered(Handler):
    server: Asking

    def do_POST(self) -> None:  # noqa: N802  http.server calls it so
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send(201, {"access_token": "signed"})

    def do_PATCH(self) -> None:  # noqa: N802
        self.server.answers.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self._send(200, {})


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    with Asking() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("NIGHTLOOM_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("NIGHTLOOM_PORT", str(server.server_port))
        environment.password(tmp_path / "home/airflow")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def rest(airflow: Asking) -> Iterator[Rest]:
    client = Rest(f"http://127.0.0.1:{airflow.server_port}", "u", "p")
    yield client
    client._session.close()


def shell(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["tasks.embedded", *words])
    return door.main()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")  # one request long
@pytest.mark.parametrize(("word", "option"), [("approve", "Approve"), ("reject", "Reject")])
@pytest.mark.parametrize("named", [True, False])
def test_a_person_answers_from_a_shell(
    airflow: Asking, monkeypatch: pytest.MonkeyPatch, word: str, option: str, named: bool
) -> None:
    airflow.waiting = [RUN, "another"] if named else [RUN]
    assert shell(monkeypatch, word, *([RUN] if named else []), "--reason", "looked at") == 0
    [(path, body)] = airflow.answers
    assert path == f"/api/v2/dags/retrain/dagRuns/{RUN}/taskInstances/approve/-1/hitlDetails"
    assert body == {"chosen_options": [option], "params_input": {"reason": "looked at"}}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("runs", "words", "says"),
    [
        ([RUN], ["approve"], "approve: say why, it is kept with the registry"),
        ([], ["approve", "--reason", "x"], "no run waits for a person"),
        (["a", "b"], ["reject", "--reason", "x"], "2 runs wait for a person, say which: a, b"),
        (["a", "b"], ["reject", "c", "--reason", "x"], "unknown run that waits for a person: 'c'; known: a, b"),
    ],
)
def test_what_is_no_answer_says_what_to_do(
    airflow: Asking,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runs: list[str],
    words: list[str],
    says: str,
) -> None:
    airflow.waiting = runs
    assert shell(monkeypatch, *words) == 2
    assert says in capsys.readouterr().err
    assert airflow.answers == []


def test_a_waiting_run_says_why_and_how_to_answer(airflow: Asking, rest: Rest) -> None:
    text = told(rest, RUN, {"verdict": {"approval": "few groups"}, "report": "/reports/r/index.html"})
    assert text.startswith("the run waits for a person: few groups\n")
    page = "/dags/retrain/runs/manual__2026-11-29T02%3A00%3A00%2B00%3A00/tasks/approve/required_actions"
    assert f"http://127.0.0.1:{airflow.server_port}{page}" in text
    assert f"NIGHTLOOM_PORT={airflow.server_port}" in text
    assert f"-m tasks.embedded approve {RUN} --reason" in text.replace("'", "")
    assert waiting(rest) == [RUN]


def test_who_follows_a_night_is_told_that_it_waits(
    airflow: Asking, rest: Rest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "POLL_S", 0.01)
    done = task("close", "success")
    airflow.scenes = [[done, task("approve", "awaiting_input")], [done, task("approve", "success")]]
    airflow.xcoms = {"close": {"verdict": {"approval": "few groups"}, "report": "/reports/r/index.html"}}
    _follow(rest, "r1", SimpleNamespace(check=lambda: None))  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert re.search(r"approve +awaiting_input\nthe run waits for a person: few groups\n", said)
    assert "what it found   /reports/r/index.html" in said
    assert said.count("waits for a person") == 1


def test_a_run_that_waits_for_a_person_is_no_leftover(airflow: Asking, rest: Rest) -> None:
    airflow.active = [RUN, "cut-off"]
    said: list[str] = []
    retire_leftovers(rest, said.append)
    assert said == [
        f"run {RUN} still waits for a person; this one goes on beside it",
        "run cut-off was cut off before; it is marked as failed, this run starts afresh",
    ]
    assert airflow.answers == [("/api/v2/dags/retrain/dagRuns/cut-off", {"state": "failed"})]
    airflow.waiting = [RUN, "another"]
    with pytest.raises(Refused, match=f"2 runs wait for a person, and no other can begin: `make up`, and answer {RUN[:6]}"):
        retire_leftovers(rest, said.append)


def test_a_run_that_waits_for_a_person_keeps_no_commit_from_being_deployed(
    checkout: Path, s: Settings, airflow: Asking, rest: Rest, capsys: pytest.CaptureFixture[str]
) -> None:
    first = deploy(checkout, s)
    head = commit(checkout, "new.txt", "new")
    airflow.active = [RUN, "at-work"]
    assert _follow_checkout(checkout, s, rest, first) == first
    airflow.active = [RUN]
    assert _follow_checkout(checkout, s, rest, first) == head
    assert (s.home / "deployed/new.txt").is_file()
