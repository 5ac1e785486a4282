"""Infrastructure is tried again ten times and more, a mistake never, a bug once; a killed worker leaves nothing at work."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from botocore.exceptions import EndpointConnectionError
from dvc.exceptions import UploadError

from tasks.errors import ContractBroken, NoData, Refused, TasksError
from tasks.run import failures, operators
from tasks.run.child import BUG, MISTAKE, Ended
from tasks.run.failures import INFRASTRUCTURE, Killed, StageFailed, check, exit_code, told
from tasks.run.git import GitFailed, GitKilled, git, resolve
from tasks.run.workspace import workspace
from tasks.stage import AGAIN
from tests.run.conftest import Project


def step(monkeypatch: pytest.MonkeyPatch, *codes: int) -> tuple[operators.Step, list[dict[str, Any]]]:
    """A task whose children end with these codes, and what they were asked."""
    asked: list[dict[str, Any]] = []

    class Played:
        def __init__(self, module: str, body: dict[str, Any]) -> None:
            asked.append(body)

        def wait(self) -> Ended:
            code = codes[len(asked) - 1]
            return Ended(code, "done" if code == 0 else None, {}, "nightloom: why")

    monkeypatch.setattr(operators, "Child", Played)
    monkeypatch.setattr(operators, "die_with_parent", lambda: None)
    return operators.Step(task_id="t", verb="stage"), asked


class Left:
    """What a task leaves to others."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def xcom_push(self, key: str, value: str) -> None:
        self.values[key] = value


def execute(task: operators.Step, left: Left | None = None) -> Any:
    context = {"run_id": "r", "ti": left or Left()}
    return operators.Step.execute.__wrapped__(task, context)  # type: ignore[attr-defined]  # Airflow guards it


@pytest.mark.parametrize("code", [INFRASTRUCTURE, -signal.SIGKILL, 137])
def test_infrastructure_is_for_airflow_to_try_again(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    task, asked = step(monkeypatch, code)
    with pytest.raises(AirflowException, match="why") as raised:
        execute(task)
    assert not isinstance(raised.value, AirflowFailException)
    assert len(asked) == 1


def test_a_mistake_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task, asked = step(monkeypatch, MISTAKE)
    left = Left()
    with pytest.raises(AirflowFailException, match=r"^why$"):
        execute(task, left)
    assert left.values == {operators.FAILURE: "why"}
    assert len(asked) == 1


def test_a_bug_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    task, asked = step(monkeypatch, BUG, 0)
    assert execute(task) == "done"
    task, asked = step(monkeypatch, BUG, BUG)
    with pytest.raises(AirflowFailException, match="traceback, twice: why"):
        execute(task)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GitFailed("x"), INFRASTRUCTURE),
        (NoData("x"), INFRASTRUCTURE),
        (Killed("x"), INFRASTRUCTURE),
        (UploadError(3), INFRASTRUCTURE),
        (OSError(errno.ENOSPC, "x"), INFRASTRUCTURE),
        (ConnectionResetError("x"), INFRASTRUCTURE),
        (EndpointConnectionError(endpoint_url="x"), INFRASTRUCTURE),
        (ContractBroken("x"), MISTAKE),
        (Refused("x"), MISTAKE),
        (StageFailed("x"), BUG),
        (KeyError("x"), BUG),
        (FileNotFoundError("x"), BUG),
    ],
)
def test_what_ended_badly_says_whether_trying_again_can_help(error: Exception, code: int) -> None:
    assert exit_code(error) == code
    assert "\n" not in told(error)


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (MISTAKE, TasksError, "train stopped; its last line above says why"),
        (AGAIN, Killed, "train had no room to work"),
        (-9, Killed, "train was killed by SIGKILL"),
        (139, Killed, "train was killed by SIGSEGV"),
        (1, StageFailed, "train ended with exit code 1"),
    ],
)
def test_a_commands_end_is_read_from_its_exit_code(code: int, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        check("train", code)


def test_a_bug_keeps_its_traceback_and_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError, match="key") as raised:
        {}["key"]
    assert failures.say(raised.value) == BUG
    out, err = capsys.readouterr()
    assert out == "nightloom: KeyError: 'key'\n"
    assert "Traceback" in err


def test_a_git_that_was_killed_says_nothing_about_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text("#!/bin/sh\nkill -9 $$\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    with pytest.raises(GitKilled, match=r"git rev-parse .*killed by signal 9"):
        resolve(tmp_path, "nightly")


def test_a_lock_that_a_killed_git_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    git("init", "--quiet", "--initial-branch=main", str(tmp_path))
    git("commit", "--quiet", "--allow-empty", "-m", "first", cwd=tmp_path)
    lock = tmp_path / ".git/refs/heads/main.lock"
    lock.touch()
    with pytest.raises(GitFailed, match=r"main\.lock': File exists"):  # its owner may be at work
        git("update-ref", "refs/heads/main", "HEAD", "", cwd=tmp_path)
    os.utime(lock, (time.time() - 60, time.time() - 60))
    with pytest.raises(GitFailed, match="reference already exists"):  # git's own answer to what it was asked
        git("update-ref", "refs/heads/main", "HEAD", "0" * 40, cwd=tmp_path)
    assert not lock.exists()


# Row 2: Airflow's supervisor starts the task's process, and that one the child that works.
SUPERVISOR = """
import os, sys, time
if os.fork():
    time.sleep(60)
from tasks.run.child import Child
from tasks.stage import die_with_parent
die_with_parent()
Child("tests.run.slow", {"pids": sys.argv[1]}).wait()
"""


def test_nothing_of_a_try_outlives_its_worker(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(pids)], stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "."}
    )
    until(lambda: pids.is_file() and len(pids.read_text().split()) == 3, 60)
    started = [int(pid) for pid in pids.read_text().split()]
    supervisor.kill()
    supervisor.wait()
    until(lambda: not any(alive(pid) for pid in started), 5)


HOLDER = """
import sys, time
from pathlib import Path
from tasks.run.settings import settings
from tasks.run.workspace import workspace
with workspace(settings(), "main", "held") as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_killed_trys_workspace_is_swept_by_the_next_one_and_a_living_ones_is_not(project: Project) -> None:
    environment = {**os.environ, "NIGHTLOOM_HOME": str(project.settings.home), "PYTHONPATH": "."}
    held = [
        subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)
    ]
    dead, living = (Path(one.stdout.readline().strip()) for one in held)  # type: ignore[union-attr]
    end(held[0])
    with workspace(project.settings, "main", "next") as mine:
        assert mine not in {dead, living}
        assert not dead.exists()
        assert (living / "dvc.yaml").is_file()
    end(held[1])
    with workspace(project.settings, "main", "last"):
        pass
    assert list((project.settings.home / "work").iterdir()) == []


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition: Any, limit_s: float) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "too slow"
        time.sleep(0.05)
