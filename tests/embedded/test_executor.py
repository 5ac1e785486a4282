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
