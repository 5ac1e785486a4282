"""The same work on many samples, by several processes at once: `with workers(work, threads) as each: … each(stretches)`."""

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

STEP = 16  # a stretch has a multiple of it
PARTS = 4  # stretches of a partition for each process: none waits long for the last one
MOST_ITEMS, MOST_BYTES = 1024, 2 << 20  # of a stretch, if STEP items are not more: what lies in pipes stays small
KILLED = 128 + signal.SIGKILL  # a shell's exit code of a killed command: the stage is tried again

Result = TypeVar("Result")
Stretch = TypeVar("Stretch")

_work: Callable[[Any], Any]  # in a process below


@contextmanager
def workers(work: Callable[[Stretch], Result], processes: int) -> Iterator[Callable[[Sequence[Stretch]], Iterator[Result]]]:
    """Give a function that yields what `work` makes of each stretch, in their order.

    Args:
        work: what is done with a stretch of samples.
        processes: how many do it, for as long as the block lasts: starting some takes as long as thousands of small
            samples. One is this process.

    Raises:
        SystemExit: one of the processes was killed, which is told as if this one had been.
    """
    if processes == 1:
        yield lambda stretches: map(work, stretches)
        return
    # Forked: the processes have the libraries and the weights already; only stretches and results are sent.
    try:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin, (work,)) as pool:
            pool.submit(os.getpid).result()  # starts all of them now, before there is anything in memory that they would keep
            try:
                yield lambda stretches: pool.map(_do, stretches)
            except BaseException:
                pool.shutdown(cancel_futures=True)  # nobody wants the rest
                raise
    except BrokenProcessPool:
        print(f"one of {processes} processes was killed, perhaps for its memory: lower threads", file=sys.stderr, flush=True)
        raise SystemExit(KILLED) from None


def evenly(count: int, most: int, step: int = STEP) -> list[tuple[int, int]]:
    """Cut 0 to `count` into parts of nearly the same length, each a multiple of `step` but the last.

    Args:
        count: of samples.
        most: that a part should have, rounded up to `step`; never more than MOST_ITEMS.
        step: samples that are worked on together, so that nobody's batches are half empty; at most MOST_ITEMS.
    """
    parts = -(-count // min(MOST_ITEMS, max(step, most)))
    size = -(-count // max(1, parts) // step) * step
    return [(at, min(at + size, count)) for at in range(0, count, max(1, size))]


def in_memory(items: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Stretches of items that must be sent themselves, of neither many rows nor many bytes; none are one stretch of none."""
    mean = sum(map(len, items)) // max(1, len(items))
    cut = evenly(len(items), MOST_BYTES // max(1, mean) // STEP * STEP)
    return [items[begin:end] for begin, end in cut] or [[]]


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    die_with_parent()
    _work = work


def _do(stretch: Any) -> Any:
    return _work(stretch)
