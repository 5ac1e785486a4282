"""Which runs may be at work: what cleans up keeps away from them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import Refused
from tasks.run.git import git

DAY_S = 86_400
REFS = "refs/remotes/origin/runs"


@dataclass(frozen=True)
class OpenedRun:
    """A run's ref in a clone of central."""

    name: str  # below runs/
    run: str  # Airflow's id
    commit: str
    age_s: float
    closed: bool  # it moved `nightly`; a dry run and a failed one never do


def runs(clone: Path, clock: Callable[[], float] = time.time) -> list[OpenedRun]:
    """Every run that central has a ref of."""
    form = f"--format=%(refname:lstrip={REFS.count('/') + 1})%09%(objectname)%09%(committerdate:unix)%09%(subject)"
    listed = git("for-each-ref", form, REFS, cwd=clone).splitlines()
    nightly = (
        git("log", "--format=%(trailers:key=Run,valueonly)", "refs/remotes/origin/nightly", cwd=clone)
        if _nightly(clone)
        else ""
    )
    closed = {line.strip() for line in nightly.splitlines()}
    found = []
    for name, commit, date_s, subject in (line.split("\t", 3) for line in listed):
        run = subject.removeprefix("Open ")
        found.append(OpenedRun(name, run, commit, clock() - int(date_s), run in closed))
    return found


def _nightly(clone: Path) -> bool:
    return bool(git("for-each-ref", "refs/remotes/origin/nightly", cwd=clone))


def require_none(clone: Path, clock: Callable[[], float] = time.time) -> None:
    """Refuse while a run may be at work: one that is younger than a day and not closed.

    Raises:
        Refused: there is one; it names it.
    """
    for run in runs(clone, clock):
        if not run.closed and run.age_s < DAY_S:
            raise Refused(
                f"run {run.run} was opened {run.age_s / 3600:.1f} hours ago and has not been closed: wait for it; if you know"
                " that no run is at work, add --idle"
            )
