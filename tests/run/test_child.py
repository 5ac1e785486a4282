import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.run.child import scrubbed, scrubbed_environment
from tasks.run.redact import without_secrets

ASKER = """
import sys
from tasks.run.child import Child
child = Child("tests.run.slow", {"pids": sys.argv[1]})
print("started", flush=True)
child.wait()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_of_a_try_outlives_its_asker(tmp_path: Path, how: signal.Signals) -> None:
    pids = tmp_path / "pids"
    asker = subprocess.Popen(
        [sys.executable, "-c", ASKER, str(pids)], stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "."}
    )
    wait_for(lambda: pids.is_file() and len(pids.read_text().split()) == 3, 20)
    started = [int(pid) for pid in pids.read_text().split()]
    assert all(psutil.pid_exists(pid) for pid in started)

    asker.send_signal(how)
    asker.wait()

    wait_for(lambda: not any(alive(pid) for pid in started), 5)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: object, limit_s: float) -> None:
    end = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "too slow"
        time.sleep(0.05)


def test_secrets_leave_what_a_child_answers_and_numbers_stay_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_OUTPUT_TOKENS", "128000")
    monkeypatch.setenv("SOME_PASSWORD", 'can"ary')
    told = {"size": 128000, "of": [{'can"ary': 'a can"ary sings', "none": None}]}
    assert without_secrets(told) == {"size": 128000, "of": [{"***": "a *** sings", "none": None}]}


def test_a_secret_does_not_reach_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    assert "canary" not in scrubbed_environment(tmp_path / "home").values()
    with scrubbed(tmp_path / "home"):
        seen = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
    assert "canary" not in seen
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "canary"
