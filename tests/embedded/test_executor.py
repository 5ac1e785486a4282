"""A killed worker of the LocalExecutor, whose queue may stay locked for ever, ends the scheduler so that it starts anew."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.embedded.group import START_ANEW

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import os, signal, time
from tasks.embedded.executor import LocalExecutor
executor = LocalExecutor(parallelism=2)
executor.start()
executor.sync()
pids = list(executor.workers)
time.sleep(1)  # they wait for tasks, one with the lock of the queue in its hands
print(*pids, flush=True)
os.kill(pids[0], signal.SIGKILL)
while not os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT | os.WNOHANG):
    time.sleep(0.01)
{then}
print("still here", flush=True)
"""


@pytest.mark.parametrize("then", ["executor.sync()", "executor._process_workloads([])"], ids=["at a heartbeat", "at a task"])
def test_the_scheduler_ends_with_its_first_killed_worker_and_the_others_with_it(tmp_path: Path, then: str) -> None:
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(then=then)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == START_ANEW, done.stderr
    assert "still here" not in done.stdout
    for pid in done.stdout.split():
        assert not Path(f"/proc/{pid}/cmdline").is_file() or not Path(f"/proc/{pid}/cmdline").read_text()  # gone, or a zombie


ANSWERED_AT_ONCE = """
from types import SimpleNamespace
from tasks.embedded.executor import LocalExecutor

PLAIN = SimpleNamespace(priority_weight=1)
executor = LocalExecutor(parallelism=2)
executor._check_workers = lambda: None  # nobody takes what is handed out: its end is told by hand
executor._unread_messages = __import__("multiprocessing").Value("i", 0)
executor.activity_queue = SimpleNamespace(put=lambda workload: print("handed out", workload.key, workload.time))

def queue(key, time):
    executor.queued_tasks[key] = SimpleNamespace(key=key, time=time, ti=PLAIN)
    executor.trigger_tasks(2)

queue("approve", "first")
queue("approve", "again")
queue("other", "first")
print("known", executor.has_task(SimpleNamespace(id="x", key="approve")))
executor.change_state("approve", "success")
executor.trigger_tasks(2)
executor.change_state("approve", "success")
queue("approve", "third")
"""


def test_a_task_that_goes_on_waits_for_the_news_that_it_had_ended(tmp_path: Path) -> None:
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ANSWERED_AT_ONCE], env=environment, capture_output=True, text=True, check=False
    )
    assert [line for line in done.stdout.splitlines() if line.startswith(("handed", "known"))] == [
        "handed out approve first",
        "handed out other first",
        "known True",
        "handed out approve again",
        "handed out approve third",
    ], done.stderr
