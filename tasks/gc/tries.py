"""What killed tries left: workspaces below <home>/work, and halves of objects in DVC's stores, under temporary names.

A try that ends, well or not, removes its own.
"""

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from tasks.run.atwork import DAY_S
from tasks.run.workspace import LOCK


def dead(work: Path, clock: Callable[[], float] = time.time) -> list[Path]:
    """Folders older than a day in which no process stands."""
    standing = [Path(cwd) for process in psutil.process_iter() if (cwd := _cwd(process))]
    folders = sorted(path for path in work.iterdir() if path.is_dir()) if work.is_dir() else []
    return [
        folder
        for folder in folders
        if not folder.with_name(f"{folder.name}{LOCK}").exists()  # `sweep` knows whether its owner lives
        and clock() - folder.stat().st_mtime > DAY_S
        and not any(folder == place or folder in place.parents for place in standing)
    ]


def halves(stores: Iterable[Path], clock: Callable[[], float] = time.time, older_s: float = DAY_S) -> list[Path]:
    """Files, so old or older, that a killed push or pull left under DVC's temporary names (for S3 see `uploads`)."""
    found = [path for store in stores if store.is_dir() for path in store.glob("files/md5/*/.*.tmp")]
    return sorted(path for path in found if clock() - path.stat().st_mtime >= older_s)


def _cwd(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except (psutil.Error, OSError):
        return ""


def drop(left: list[Path]) -> None:
    """Delete them."""
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
