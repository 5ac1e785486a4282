"""Children that really die, -9, at a point of our choice; and several that do one thing at the same time."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

CONTEXT = multiprocessing.get_context("fork")  # what a test has patched holds in the child
PATIENCE_S = 120


def dies(where: Any, name: str, when: str, do: Callable[[], Any], first: Callable[[], Any] | None = None) -> None:
    """Do something in a child that kills itself before or after it calls `where.name`; `first` it lives through."""
    whole = getattr(where, name)

    def fatal(*words: Any, **named: Any) -> None:
        if when == "after":
            whole(*words, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    def child() -> None:
        if first is not None:
            first()
        setattr(where, name, fatal)
        do()

    assert _ended(CONTEXT.Process(target=child)) == -signal.SIGKILL, f"{name} was not called"


@contextmanager
def cut_off_after(epoch: int) -> Iterator[None]:
    """What is fitted in this block is cut off right after the checkpoint of that epoch, as by Ctrl-C."""
    from tasks.checkpoint import Checkpoint

    saved = Checkpoint.save

    def save(self: Checkpoint, facts: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
        saved(self, facts, kept)
        if facts["epoch"] == epoch:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", save)
        with pytest.raises(KeyboardInterrupt):
            yield


def alone(do: Callable[[], Any]) -> Any:
    """What something answers in a child of its own."""
    (answer,) = at_once(do)
    return answer


def at_once(*doing: Callable[[], Any]) -> list[Any]:
    """What they answer, each in a child of its own, let go from one barrier."""
    barrier, answers = CONTEXT.Barrier(len(doing)), CONTEXT.Queue()

    def child(place: int, do: Callable[[], Any]) -> None:
        barrier.wait(timeout=PATIENCE_S)
        answers.put((place, do()))

    children = [CONTEXT.Process(target=child, args=pair) for pair in enumerate(doing)]
    for process in children:
        process.start()
    found = dict(answers.get(timeout=PATIENCE_S) for _ in doing)
    for process in children:
        process.join(timeout=PATIENCE_S)
        assert process.exitcode == 0
    return [found[place] for place in range(len(doing))]


def _ended(process: Any) -> int | None:
    process.start()
    process.join(timeout=PATIENCE_S)
    code: int | None = process.exitcode
    return code
