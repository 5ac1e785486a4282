"""Following a run, with a server on loopback in Airflow's place."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.embedded import follow as following
from tasks.embedded import rest as requesting
from tasks.embedded.follow import Change, failures, follow, last_lines
from tasks.embedded.group import Ended
from tasks.embedded.night import follower
from tasks.embedded.rest import Rest, Unreachable

TOKEN = "signed"


def task(
    name: str, state: str | None, tries: int = 1, start: str | None = "2026-11-21T10:00:00Z", index: int = -1
) -> dict[str, Any]:
    ended = state in {"success", "failed", "skipped", "up_for_retry"}
    body = {"task_id": name, "state": state, "try_number": tries, "map_index": index, "start_date": start}
    return {**body, "end_date": "2026-11-21T10:00:09Z" if ended else None, "duration": 9.25 if ended else None}


class Airflow(ThreadingHTTPServer):
    """Plays scenes: lists of task instances, one per poll, the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scenes: list[list[dict[str, Any]]] = []
        self.polls = 0
        self.logins = 0
        self.end = "success"
        self.xcoms: dict[str, Any] = {}
        self.slow_s = 0.0  # that the next answer takes

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        slow_s, self.slow_s = self.slow_s, 0.0
        time.sleep(slow_s)
        if path.endswith("/taskInstances"):
            scene = self.scenes[min(self.polls, len(self.scenes)) - 1]
            first = int(query["offset"][0])
            return {"task_instances": scene[first : first + 2], "total_entries": len(scene)}  # pages of two
        if path.endswith("/dagRuns/r1"):
            self.polls += 1
            return {"state": "running" if self.polls < len(self.scenes) else self.end}
        if path.endswith("/xcomEntries/return_value"):
            name = path.split("/")[-3]
            return {"value": self.xcoms[name]} if name in self.xcoms else None
        return None


class Handler(BaseHTTPRequestHandler):
    server: Airflow

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._send(401, {"detail": "Not authenticated"})
        elif (body := self.server.answer(parts.path, parse_qs(parts.query))) is None:
            self._send(404, {"detail": "not found"})
        else:
            self._send(200, body)

    def do_POST(self) -> None:
        login = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = login == {"username": "u", "password": "p"}
        self.server.logins += 1
        self._send(201 if right else 401, {"access_token": TOKEN} if right else {"detail": "Invalid credentials"})

    def _send(self, code: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(BrokenPipeError):  # nobody waits for a late answer
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    with Airflow() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def rest(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rest]:
    monkeypatch.setattr(following, "POLL_S", 0.01)
    client = Rest(f"http://127.0.0.1:{airflow.server_port}", "u", "p")
    yield client
    client._session.close()


def changes(rest: Rest) -> list[tuple[str, str]]:
    return [(change.task, change.state) for change in follow(rest, "retrain", "r1", lambda: None)]


def test_each_change_is_told_once_and_the_quiet_states_not_at_all(airflow: Airflow, rest: Rest) -> None:
    airflow.scenes = [
        [task("open", "queued"), task("profile.image", None, start=None)],
        [task("open", "running"), task("profile.image", "scheduled", start=None)],
        [task("open", "running"), task("profile.image", "scheduled", start=None)],
        [task("open", "success"), task("profile.image", "up_for_retry")],
        [task("open", "success"), task("profile.image", "running", tries=2)],
        [task("open", "success"), task("profile.image", "success", tries=2), task("promote", "skipped", start=None)],
    ]
    assert changes(rest) == [
        ("open", "running"),
        ("open", "success"),
        ("profile.image", "up_for_retry"),
        ("profile.image", "running"),
        ("profile.image", "success"),
        ("promote", "skipped"),
    ]
    assert airflow.logins == 1


def test_what_changed_between_the_last_two_looks_is_not_missed(airflow: Airflow, rest: Rest) -> None:
    airflow.scenes = [
        [task("open", "running")],
        [task("open", "success"), task("y", "success", start="2026-11-21T10:00:01Z"), task("z", "success", index=3)],
    ]
    assert changes(rest) == [("open", "running"), ("open", "success"), ("z[3]", "success"), ("y", "success")]


def test_following_ends_when_airflow_is_gone(airflow: Airflow, rest: Rest) -> None:
    def gone() -> None:
        raise Ended("scheduler ended with exit code 1")

    with pytest.raises(Ended, match="scheduler ended"):
        next(follow(rest, "retrain", "r1", gone))


def test_one_answer_that_does_not_come_is_not_the_end(airflow: Airflow, rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((requesting, "TIMEOUT_S"), (following, "PATIENCE_S")):
        monkeypatch.setattr(module, name, getattr(module, name) / 30)
    airflow.scenes = [[task("open", "success")]]
    airflow.slow_s = 1.5 * requesting.TIMEOUT_S
    assert [change.state for change in follow(rest, "retrain", "r1", lambda: None)] == ["success"]


def test_a_change_is_a_line_of_plain_columns() -> None:
    line = Change("pretrain.image", "success", 127.4, 61.2).line()
    assert line == "  2:07  pretrain.image               success                61.2 s"
    assert line.isascii()
    assert len(line) <= 100


def test_what_a_task_returned(airflow: Airflow, rest: Rest) -> None:
    airflow.xcoms = {"open": {"nothing": "no new batch"}}
    assert rest.xcom("retrain", "r1", "open") == {"nothing": "no new batch"}
    assert rest.xcom("retrain", "r1", "promote") is None


def test_an_overtaken_run_goes_on_as_another_one(airflow: Airflow, rest: Rest) -> None:
    airflow.xcoms = {"close": {"outcome": "judged", "again": None}}
    assert follower(rest, "r1") is None
    airflow.xcoms = {"close": {"outcome": "overtaken", "again": "r1"}}
    assert follower(rest, "r0") == "r1"
    airflow.xcoms = {"close": {"again": None}, "promote": {"overtaken": "x", "again": "r1"}}
    assert follower(rest, "r0") == "r1"
    airflow.xcoms = {"close": {"outcome": "overtaken", "again": "never-triggered"}}
    assert follower(rest, "r0") is None


def test_a_wrong_login_and_a_closed_port_are_told(airflow: Airflow) -> None:
    with pytest.raises(Unreachable, match=r"401 to POST /auth/token: .*Invalid credentials"):
        Rest(f"http://127.0.0.1:{airflow.server_port}", "u", "wrong").call("GET", "/dags")
    with pytest.raises(Unreachable, match=r"Airflow does not answer at http://127.0.0.1:1 \(ConnectionError\)"):
        Rest("http://127.0.0.1:1", "u", "p").call("GET", "/dags")


def test_a_failed_task_is_named_with_its_log_and_the_reason(airflow: Airflow, rest: Rest, tmp_path: Path) -> None:
    airflow.polls, airflow.scenes = (
        1,
        [
            [
                task("open", "success"),
                task("profile.image", "failed", tries=2),
                task("z", "upstream_failed"),
                task("notify", "failed"),
            ]
        ],
    )
    log = tmp_path / "dag_id=retrain/run_id=r1/task_id=profile.image/attempt=2.log"
    log.parent.mkdir(parents=True)
    entries = [
        {"logger": "task", "level": "info", "event": "Task instance is in running state"},
        {"logger": "task.stdout", "level": "info", "event": "decoded 300"},
        {"logger": "task.stdout", "level": "error", "event": "Traceback (most recent call last):"},
        {"logger": "task.stdout", "level": "error", "event": "  File somewhere, line 3"},
        {
            "level": "error",
            "event": "Task failed",
            "error_detail": [{"exc_type": "ContractBroken", "exc_value": "a.png is cut off"}],
        },
    ]
    log.write_text("\n".join(map(json.dumps, entries)) + "\nplain text\n")
    [failure] = failures(rest, "retrain", "r1", tmp_path)
    assert (failure.task, failure.log) == ("profile.image", log)
    assert failure.lines == ("decoded 300", "Task failed", "ContractBroken: a.png is cut off", "plain text")


def test_a_task_without_a_log_says_so(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log") == ["(no log: the task never started, or its worker was killed)"]
