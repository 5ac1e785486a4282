"""Work on stretches of items: in their order, by as many processes as asked for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.errors import ContractBroken
from tasks.parallel import CHUNK, parallel


def doubled(items: list[int]) -> tuple[int, list[int]]:
    return os.getpid(), [2 * item for item in items]


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK + 1])
@pytest.mark.parametrize("processes", [1, 3])
def test_stretches_come_back_in_their_order(count, processes):
    found = list(parallel(doubled, list(range(count)), processes))
    assert [item for _, part in found for item in part] == [2 * item for item in range(count)]
    assert (os.getpid() in {process for process, _ in found}) == (processes == 1 or count <= CHUNK)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_mistake_comes_out_as_what_it_is(processes):
    def refuse(items: list[int]) -> None:
        raise ContractBroken(f"no {items[0]}")

    with pytest.raises(ContractBroken, match="no 7"):
        list(parallel(refuse, [7] * 2 * CHUNK, processes))


def test_a_killed_process_ends_the_stage_as_if_it_had_been_killed(capsys):
    def die(items: list[int]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(SystemExit, match="137"):
        list(parallel(die, [0] * 2 * CHUNK, 2))
    assert "was killed" in capsys.readouterr().err


ENDLESS = """
import time
from tasks.parallel import parallel
list(parallel(lambda items: time.sleep(600), [0] * 1000, 2))
"""


def test_no_process_outlives_the_one_that_was_killed():
    root = subprocess.Popen([sys.executable, "-c", ENDLESS], cwd=Path(__file__).parents[1])
    try:
        began = time.monotonic()
        while len(below := psutil.Process(root.pid).children()) < 2:
            assert time.monotonic() - began < 30
            time.sleep(0.02)
        time.sleep(0.2)  # until they have asked to die with it
    finally:
        os.kill(root.pid, signal.SIGKILL)
        root.wait()
    _, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []
