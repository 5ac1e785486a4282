"""Refs of central: which runs are old, which commits are kept."""

import time
from collections.abc import Callable, Collection
from pathlib import Path

from tasks.promote.registry import MODEL
from tasks.run.atwork import DAY_S, OpenedRun, runs
from tasks.run.git import git


def old_refs(clone: Path, days: float, clock: Callable[[], float] = time.time) -> list[OpenedRun]:
    """Runs that were opened so many days ago; their closed commits are in `nightly`, if they came to one."""
    return [run for run in runs(clone, clock) if run.age_s > days * DAY_S]


def drop_refs(clone: Path, central: str, old: Collection[OpenedRun]) -> None:
    """Delete refs of runs, each only if it is where it was."""
    for run in old:
        ref = f"refs/heads/runs/{run.name}"
        git("push", "--quiet", f"--force-with-lease={ref}:{run.commit}", central, f":{ref}", cwd=clone)


def kept_commits(clone: Path, nights: int, without: Collection[str]) -> list[str]:
    """The commits all of whose objects stay.

    Args:
        clone: of central.
        nights: how far back along `nightly`.
        without: commits of runs whose refs go.
    """
    heads = git("for-each-ref", "--format=%(objectname) %(refname)", "refs/remotes/origin", cwd=clone).splitlines()
    kept = {sha for sha, ref in (line.split() for line in heads) if not ref.endswith("/HEAD")} - set(without)
    tags = git("for-each-ref", "--format=%(objectname) %(*objectname)", f"refs/tags/{MODEL}[@#]*", cwd=clone)
    kept |= {line.split()[-1] for line in tags.splitlines()}
    if any(line.endswith("/nightly") for line in heads):
        log = git("log", "--first-parent", f"--max-count={nights}", "--format=%H", "refs/remotes/origin/nightly", cwd=clone)
        kept |= set(log.split())
    return sorted(kept)
