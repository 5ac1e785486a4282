"""Results of raw partitions that whoever runs the stage may have brought (tasks/run/memo.py does): taken, or computed anew."""

import os
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tasks.errors import ContractBroken
from tasks.index import Partition
from tasks.paths import MEMO


def brought(final: Path, to: Path, check: Callable[[Path], None]) -> bool:
    """Take the result of one partition from `.memo/`, where whoever runs the stage may have put it; say whether it was taken.

    Without it the stage computes the same bytes; so what is damaged, or another partition's, is told and left alone.

    Args:
        final: the path that the result will have, relative to the repository's root.
        to: where to put it now.
        check: raises `ContractBroken` on a file that is not the wanted one.
    """
    path = MEMO / final
    if not path.is_file():
        return False
    try:
        check(path)
    except ContractBroken as problem:
        print(f"{problem}; computed instead", flush=True)
        return False
    try:
        os.link(path.resolve(), to)
    except OSError:  # another file system
        shutil.copyfile(path, to)
    return True


def not_brought(landed: Iterable[Partition], final: Path, to: Path, suffix: str, check: Callable[..., None]) -> list[Partition]:
    """Take what was brought for partitions, and say of which nothing was.

    Args:
        landed: the partitions.
        final: the folder of their results.
        to: where to put them now.
        suffix: of a result's name; before it stands the partition's.
        check: of a file and its `partition`, raises `ContractBroken` when it is not the wanted one.
    """
    names = {partition.stem + suffix: partition for partition in landed}
    return [one for name, one in names.items() if not brought(final / name, to / name, partial(check, partition=one))]
