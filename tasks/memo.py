"""Results of raw partitions that whoever runs the stage may have brought (tasks/run/memo.py does): taken, or computed anew."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tasks.errors import ContractBroken
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
