"""One stage, on any worker, any number of times: a clean clone, deps pulled and checked, `dvc repro -s`, push, fragment."""

import re
from contextlib import chdir
from pathlib import PurePosixPath
from time import monotonic
from typing import Any

from tasks.errors import TasksError
from tasks.run import graph, lock
from tasks.run.child import MISTAKE, scrubbed
from tasks.run.settings import Settings
from tasks.run.workspace import workspace


class StageFailed(Exception):
    """A stage ended with an error that is no known mistake: trying again may help."""


def run_stage(s: Settings, commit: str, name: str, fragments: lock.Fragments) -> dict[str, Any]:
    """Run one stage of a run's commit, or find that nothing it depends on has changed.

    Changes this process's working directory meanwhile: call it in a process of its own.

    Args:
        s: where central, remote and cache are.
        commit: the run's commit.
        name: the stage, e.g. `extract@mri`.
        fragments: what the stages before it locked in this run.

    Returns:
        `lock`: the stage's entry of dvc.lock; `ran`: whether anything had changed; `seconds`: how long that took.

    Raises:
        TasksError: a known mistake; trying again would not help.
        StageFailed: anything else.
    """
    from dvc.repo import Repo

    with workspace(s, commit, name) as folder, chdir(folder), Repo() as repo:
        lock.merge(folder, fragments, graph.names(repo))
        if wanted := _kept_deps(repo, name):  # none would mean all
            repo.pull(targets=wanted)
        began = monotonic()
        with scrubbed(s.home / "stages"):
            ran = _reproduce(repo, name)
        if ran:
            repo.push(targets=[name])
        return {"lock": lock.read(folder)[name], "ran": ran, "seconds": round(monotonic() - began, 1)}


def _kept_deps(repo: Any, name: str) -> list[str]:
    """The deps that DVC keeps, and what the stage reads through the index; params.yaml and code are in git already.

    `repro -s` does not look upstream: what is stale or missing on disk would pass as unchanged, so these are pulled first.
    """
    stage = next(stage for stage in repo.index.stages if getattr(stage, "name", None) == name)
    outs = [PurePosixPath(out.fs_path) for other in repo.index.stages for out in other.outs]
    wanted = set()
    for dep in (PurePosixPath(dep.fs_path) for dep in stage.deps):
        wanted |= {out for out in outs if out == dep or dep in out.parents}  # DVC takes outs as targets, and paths inside
        wanted |= {dep for out in outs if out in dep.parents}
    root = PurePosixPath(repo.root_dir)
    return sorted({str(path.relative_to(root)) for path in wanted} | set((stage.meta or {}).get("reads", ())))


def _reproduce(repo: Any, name: str) -> bool:
    from dvc.exceptions import ReproductionError

    try:
        # no run-cache: what it brings was counted by nobody, and `make reproduce` compares counts
        return bool(repo.reproduce(targets=[name], single_item=True, allow_missing=True, run_cache=False))
    except ReproductionError as error:
        reason = f"{error}: {error.__cause__ or ''}"
        if re.search(rf"exited with {MISTAKE}\b", reason):
            raise TasksError(f"stage {name} stopped; its last line above says why") from error
        raise StageFailed(reason) from error
