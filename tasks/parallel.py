"""The same work on many samples, by several processes at once: `with workers(work, params.threads) as each: … each(items)`."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from tasks.stage import die_with_parent

STEP = 16  # a stretch has a multiple of it, so that nobody's batches are half empty
MOST_ITEMS, MOST_BYTES = 256, 2 << 20  # of a stretch, if STEP items are not more: what lies in pipes stays small
KILLED = 128 + signal.SIGKILL  # a shell's exit code of a killed command: the stage is tried again

Result = TypeVar("Result")
Item = bytes | None

_work: Callable[[Sequence[Item]], Any]  # in a process below


@contextmanager
def workers(work: Callable[[Sequence[Item]], Result], processes: int) -> Iterator[Callable[[Sequence[Item]], Iterator[Result]]]:
    """Give a function that cuts items into stretches and yields what `work` makes of each, in their order.

    Args:
        work: must make of a stretch what it would make of it alone.
        processes: how many do it, for as long as the block lasts: starting some takes as long as thousands of small
            items. One is this process.

    Raises:
        SystemExit: one of the processes was killed, which is told as if this one had been.
    """
    if processes == 1:
        yield lambda items: map(work, stretches(items))
        return
    # Forked: the processes have the libraries and the weights already; only items and results are sent.
    try:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin, (work,)) as pool:
            pool.submit(os.getpid).result()  # starts all of them now, before there is anything in memory that they would keep
            yield lambda items: pool.map(_do, stretches(items))
    except BrokenProcessPool:
        print(f"one of {processes} processes was killed, perhaps for its memory: lower threads", file=sys.stderr, flush=True)
        raise SystemExit(KILLED) from None


def stretches(items: Sequence[Item]) -> list[Sequence[Item]]:
    """Consecutive items of neither many rows nor many bytes; none are one stretch of none."""
    mean = sum(map(len, filter(None, items))) // max(1, len(items))
    size = max(STEP, min(MOST_ITEMS, MOST_BYTES // max(1, mean) // STEP * STEP))
    return [items[at : at + size] for at in range(0, max(1, len(items)), size)]


def _begin(work: Callable[[Sequence[Item]], Any]) -> None:
    global _work
    die_with_parent()
    _work = work


def _do(items: Sequence[Item]) -> Any:
    return _work(items)
