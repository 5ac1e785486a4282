"""Workspaces below <home>/work whose process was killed: a try that ends, well or not, removes its own."""

import shutil
import time
from collections.abc import Callable
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


def _cwd(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except (psutil.Error, OSError):
        return ""


def drop(folders: list[Path]) -> None:
    """Delete them."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
