"""A killed worker of the LocalExecutor, whose queue may stay locked for ever, ends the scheduler so that it starts anew."""

import subprocess
import sys
from pathlib import Path

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
executor.workers[pids[0]].join()
executor.sync()
print("still here", flush=True)
"""


def test_the_scheduler_ends_with_its_first_killed_worker_and_the_others_with_it(tmp_path: Path) -> None:
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == START_ANEW, done.stderr
    assert "still here" not in done.stdout
    for pid in done.stdout.split():
        assert not Path(f"/proc/{pid}/cmdline").is_file() or not Path(f"/proc/{pid}/cmdline").read_text()  # gone, or a zombie
