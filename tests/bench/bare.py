"""The stages of a run without scheduler and without DVC: their commands, one after another."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.run.child import scrubbed_environment
from tasks.run.pins import PINS
from tasks.run.settings import Settings
from tasks.run.workspace import workspace


@contextmanager
def bare_workspace(s: Settings, commit: str) -> Iterator[Path]:
    """A clean clone whose raw data is there, with a cache of its own."""
    with workspace(s, commit, "bare", cache=s.home / "cache-bare") as folder:
        command(["dvc", "pull", "--quiet", "data/1_raw", *(f"data/{name}" for name in PINS)], folder, s)
        yield folder


def stage_commands(folder: Path) -> dict[str, str]:
    """Stage -> its command, in an order in which each finds what it needs."""
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    with Repo(str(folder)) as repo:
        return {stage.name: stage.cmd for stage in plan_repro(repo.index.graph) if stage.cmd}


def command(words: list[str], folder: Path, s: Settings) -> str:
    """Run a command as stages are run; returns what it printed."""
    done = subprocess.run(
        words, cwd=folder, env=scrubbed_environment(s.home / "stages"), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{words}: {done.stdout[-500:]}\n{done.stderr[-2000:]}")
    return done.stdout
