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
from tasks.parallel import MOST_BYTES, MOST_ITEMS, STEP, evenly, in_memory, workers


def doubled(items: list[bytes]) -> tuple[int, list[bytes]]:
    return os.getpid(), [2 * item for item in items]


@pytest.mark.parametrize("count", [0, 1, MOST_ITEMS, MOST_ITEMS + 1, 3 * MOST_ITEMS + 1])
@pytest.mark.parametrize("processes", [1, 3])
def test_stretches_come_back_in_their_order(count, processes):
    items = [str(number).encode() for number in range(count)]
    with workers(doubled, processes) as each:
        for _ in range(2):
            found = list(each(in_memory(items)))
            assert [item for _, part in found for item in part] == [2 * item for item in items]
            assert (os.getpid() in {process for process, _ in found}) == (processes == 1)


@pytest.mark.parametrize(("size", "longest"), [(1, MOST_ITEMS), (MOST_BYTES // 50, 3 * STEP), (MOST_BYTES, STEP)])
def test_a_stretch_is_neither_many_items_nor_many_bytes(size, longest):
    items = [bytes(size)] * 2 * MOST_ITEMS
    parts = in_memory(items)
    assert {len(part) for part in parts[:-1]} == {longest}
    assert [item for part in parts for item in part] == items


@pytest.mark.parametrize("count", [0, 1, STEP - 1, STEP, 5 * STEP + 3, 1000, 10_000])
@pytest.mark.parametrize("most", [1, STEP + 1, 100, 10**6])
def test_parts_are_whole_in_order_and_of_nearly_the_same_length(count, most):
    parts = evenly(count, most)
    assert [place for begin, end in parts for place in range(begin, end)] == list(range(count))
    lengths = [end - begin for begin, end in parts]
    assert all(length % STEP == 0 for length in lengths[:-1])
    assert max(lengths, default=0) <= min(MOST_ITEMS, max(STEP, most + STEP))
    if count > most >= STEP:
        assert max(lengths) - sum(lengths) / len(lengths) <= STEP


@pytest.mark.parametrize("processes", [1, 2])
def test_a_mistake_comes_out_as_what_it_is(processes):
    def refuse(items: list[bytes]) -> None:
        raise ContractBroken(f"no {items[0]!r}")

    with workers(refuse, processes) as each, pytest.raises(ContractBroken, match="no b'7'"):
        list(each([[b"7"]] * 4))


def test_a_killed_process_ends_the_stage_as_if_it_had_been_killed(capsys):
    def die(items: list[bytes]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(SystemExit, match="137"), workers(die, 2) as each:
        list(each([[b""]] * 4))
    assert "was killed" in capsys.readouterr().err


ENDLESS = """
import time
from tasks.parallel import workers
with workers(lambda items: time.sleep(600), 2) as each:
    list(each([[b""]] * 4))
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
