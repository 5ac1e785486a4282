"""Processes end with their owner, and with them whatever they started, however the end comes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tasks.embedded.group import Ended, Group

ROOT = Path(__file__).resolve().parents[2]
# A process as Airflow's tasks are: it starts one in a process group of its own, and a daemon in a session of its own,
# and takes no notice of SIGTERM. Its log tells their ids.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"]
grouped = subprocess.Popen(sleep, process_group=0)
daemon = f"import subprocess as s; print(s.Popen({sleep!r}, start_new_session=True, stdout=s.DEVNULL).pid)"
orphaned = subprocess.run([sys.executable, "-c", daemon], stdout=subprocess.PIPE, text=True).stdout
print(os.getpid(), grouped.pid, orphaned, flush=True)
time.sleep(60)
"""


def group() -> Group:
    return Group(dict(os.environ), cwd=ROOT, grace_s=0.5)


def until(done: Callable[[], object], patience_s: float = 15) -> None:
    end = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < end, "too late"
        time.sleep(0.05)


def told(log: Path) -> list[int]:
    """The three process ids that the stubborn process wrote."""
    until(lambda: log.is_file() and len(log.read_text().split()) == 3)
    return [int(word) for word in log.read_text().split()]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_nothing_survives_the_end_of_the_block(tmp_path: Path) -> None:
    with group() as started:
        started.start("stubborn", [sys.executable, "-c", STUBBORN], tmp_path / "log")
        pids = told(tmp_path / "log")
        assert alive(pids) == pids
        started.check()
    assert alive(pids) == []


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found through Linux's subreaper")
def test_nothing_survives_a_killed_owner(tmp_path: Path) -> None:
    owner = (
        "import os, pathlib, sys, time; from tasks.embedded.group import Group\n"
        f"g = Group(dict(os.environ), cwd=pathlib.Path({str(ROOT)!r}), grace_s=0.5)\n"
        f"g.start('stubborn', [sys.executable, '-c', {STUBBORN!r}], pathlib.Path({str(tmp_path / 'log')!r})); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", owner], cwd=ROOT) as process:
        try:
            pids = told(tmp_path / "log")
        finally:
            process.kill()
    until(lambda: not alive(pids))


def test_a_killed_guard_is_noticed_and_its_session_ended(tmp_path: Path) -> None:
    with group() as started:
        started.start("sleeper", [sys.executable, "-c", STUBBORN], tmp_path / "log")
        pids = told(tmp_path / "log")
        guard = psutil.Process(pids[0]).parent()
        assert guard is not None
        guard.send_signal(signal.SIGKILL)
        guard.wait(5)
        with pytest.raises(Ended, match=r"the guard process \d+ was killed; start again"):
            started.check()
    assert alive(pids[:2]) == []
    for pid in alive(pids[2:]):  # a session of its own and no guard: nobody can know it
        os.kill(pid, signal.SIGKILL)


def test_a_process_that_ends_is_told_with_its_last_lines(tmp_path: Path) -> None:
    with group() as started:
        started.start("server", [sys.executable, "-c", "print('address in use'); raise SystemExit(3)"], tmp_path / "log")
        until(lambda: started.code("server") is not None)
        with pytest.raises(Ended, match=r"server ended with exit code 3; the end of .*log:\naddress in use"):
            started.check()


def test_a_process_that_ends_well_is_no_error(tmp_path: Path) -> None:
    with group() as started:
        started.start("once", [sys.executable, "-c", ""], tmp_path / "log")
        until(lambda: started.code("once") == 0)
        started.check()


SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def test_what_is_to_live_on_is_started_anew_when_it_was_killed_and_nothing_else_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with group() as started:
        started.start("sleeper", [sys.executable, "-c", SLEEPER], log, again=True)
        until(lambda: log.is_file() and len(log.read_text().split()) == 1)
        os.kill(int(log.read_text()), signal.SIGKILL)
        until(lambda: started.code("sleeper") is not None)
        started.check()
        until(lambda: len(log.read_text().split()) == 2)
        assert started.restarts["sleeper"] == 1
        started.start("mistaken", [sys.executable, "-c", "raise SystemExit(2)"], tmp_path / "other", again=True)
        until(lambda: started.code("mistaken") is not None)
        with pytest.raises(Ended, match="mistaken ended with exit code 2"):
            started.check()
