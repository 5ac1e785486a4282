"""Carry a training's checkpoints from try to try: what a killed worker had reached is where the next one, anywhere, goes on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.paths import CHECKPOINTS
from tasks.run.memo import Memo

POLL_S = 2.0


@contextmanager
def carried(memo: Memo, folder: Path) -> Iterator[None]:
    """Bring the checkpoints of an earlier try, keep new ones while the block runs, and drop them when it ends well.

    Args:
        memo: of the stage.
        folder: the workspace.
    """
    place = folder / CHECKPOINTS
    if restored := memo.restore(place):
        print(f"an earlier try left checkpoints: {', '.join(restored)}", flush=True)
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(memo, place, over), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
    memo.drop_checkpoints()


def _keep(memo: Memo, place: Path, over: threading.Event) -> None:
    """Look for new checkpoints every few seconds; one that cannot be kept now is tried again."""
    seen = {path.name: _mark(path) for path in place.iterdir()}
    while not over.wait(POLL_S):
        for path in place.glob("*.safetensors"):  # under temporary names they are not whole
            try:
                mark = _mark(path)
                if seen.get(path.name) != mark:
                    memo.keep(path)
                    seen[path.name] = mark
            except Exception as error:  # a full disk, or a store that is away, must end neither a training nor this
                print(f"checkpoint {path.name} could not be kept: {error}", flush=True)


def _mark(path: Path) -> tuple[int, int]:
    """What changes when a file is written anew under its name."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
