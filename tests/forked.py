"""Stages as `python -m tasks.…` runs them, without its seconds of imports: forks of a process that imported everything once."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

STAGES = (
    "profile",
    "validate",
    "probe",
    "pretrain",
    "extract",
    "damage",
    "train",
    "select",
    "evaluate",
    "robustness",
    "explain",
    "champion",
    "gate",
)
KINDS = ("audio", "image", "pointcloud", "tabular", "text", "timeseries", "video", "volume")
LATE = ("great_expectations", "scipy.stats", "sklearn.linear_model", "torch._dynamo")  # imported where it is needed
TOLD = "stages.log"  # of a project: what its stages said

SERVER = multiprocessing.get_context("forkserver")  # a process without threads: whatever the caller did before, forks are safe
SERVER.set_forkserver_preload(
    [
        *(f"tasks.{stage}.__main__" for stage in STAGES),
        *(f"tasks.{part}.{kind}" for part in ("profile", "extract", "damage") for kind in KINDS),
        *LATE,
    ]
)


def stage(project: Path, *words: str) -> None:
    """Run one stage of a project; its last lines are shown when it fails.

    Args:
        project: a folder with params.yaml, requirements.lock and data/; the code is that of this repository.
        words: the stage, and what its command line takes.
    """
    call(project, _stage, *words)


def call(project: Path, function: Callable[..., None], *arguments: str) -> None:
    """Call a function in a process of its own whose working directory is the project."""
    child = SERVER.Process(target=_run, args=(project, function, arguments))
    child.start()
    child.join()
    if child.exitcode:
        told = (project / TOLD).read_text()[-2500:]
        raise SystemExit(f"{project}: {' '.join(arguments)} ended with {child.exitcode}\n{told}")


def _run(project: Path, function: Callable[..., None], arguments: tuple[str, ...]) -> None:
    os.chdir(project)
    told = os.open(TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(told, stream)
    function(*arguments)


def _stage(name: str, *words: str) -> None:
    sys.argv = [name, *words]
    from tasks.stage import enter

    enter(getattr(import_module(f"tasks.{name}.__main__"), name), *words)
