"""The same work on many items, by several processes at once: `for part in parallel(work, items, params.threads): …`."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from tasks.stage import die_with_parent

CHUNK = 64  # items that a process does together
KILLED = 128 + signal.SIGKILL  # a shell's exit code of a killed command: the stage is tried again

Item = TypeVar("Item")
Result = TypeVar("Result")

_given: tuple[Callable[[Sequence[Any]], Any], Sequence[Any]]  # in a process below: the work and all items


def parallel(work: Callable[[Sequence[Item]], Result], items: Sequence[Item], processes: int) -> Iterator[Result]:
    """Cut items into stretches of CHUNK, and yield what `work` makes of each, in their order.

    Args:
        work: must make of a stretch what it would make of it alone.
        items: what to work on; none are one stretch of none.
        processes: how many; one, or one stretch, is done in this process.

    Raises:
        SystemExit: one of the processes was killed, which is told as if this one had been.
    """
    starts = range(0, max(1, len(items)), CHUNK)
    if processes == 1 or len(starts) == 1:
        yield from (work(items[at : at + CHUNK]) for at in starts)
        return
    # Forked: the processes have the items, the libraries and the weights already, and only results are sent.
    try:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin, (work, items)) as pool:
            yield from pool.map(_do, starts)
    except BrokenProcessPool:
        print(f"one of {processes} processes was killed, perhaps for its memory: lower threads", file=sys.stderr, flush=True)
        raise SystemExit(KILLED) from None


def _begin(work: Callable[[Sequence[Any]], Any], items: Sequence[Any]) -> None:
    global _given
    die_with_parent()
    _given = work, items


def _do(at: int) -> Any:
    work, items = _given
    return work(items[at : at + CHUNK])
