"""One stage, on any worker, any number of times: a clean clone, deps pulled and checked, `dvc repro -s`, push, fragment."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.index import Partition, partitions, read_index
from tasks.paths import INDEX, RAW
from tasks.run import graph, intact, lock
from tasks.run.checkpoints import carried
from tasks.run.child import scrubbed, scrubbed_environment
from tasks.run.failures import check
from tasks.run.laps import Laps
from tasks.run.memo import Memo, base_of, brought, made
from tasks.run.settings import Settings
from tasks.run.workspace import workspace


def run_stage(s: Settings, commit: str, name: str, fragments: lock.Fragments) -> dict[str, Any]:
    """Run one stage of a run's commit, or find that nothing it depends on has changed.

    Changes this process's working directory meanwhile: call it in a process of its own.

    Args:
        s: where central, remote and cache are.
        commit: the run's commit.
        name: the stage, e.g. `extract@mri`.
        fragments: what the stages before it locked in this run.

    Returns:
        `lock`: the stage's entry of dvc.lock; `ran`: whether anything had changed; `spent_s`: seconds of its parts (clone,
        pull, repro, push).

    Raises:
        TasksError: a known mistake; trying again would not help.
        Killed: the stage's command was killed, or had no room.
        StageFailed: it ended in another way that is no known mistake.
    """
    with ready(s, commit, name, fragments) as prepared:
        with prepared.laps.of("repro"):
            ran = prepared.changed()
        if ran:
            _run(s, prepared)
        return {"lock": lock.read(prepared.folder)[name], "ran": ran, "spent_s": prepared.laps.spent_s}


@dataclass(frozen=True)
class Ready:
    """A workspace, which is the working directory, in which one stage can run."""

    folder: Path
    repo: Any
    stage: Any
    laps: Laps

    @property
    def meta(self) -> dict[str, Any]:
        """The stage's `meta` in dvc.yaml."""
        return self.stage.meta or {}

    @property
    def partitions(self) -> list[Partition]:
        """The raw partitions of which `meta.each` says that the out has a file for each; none for another stage."""
        modality = self.meta.get("each")
        return [partition for _, partition in partitions(read_index(INDEX), modality)] if modality else []

    def changed(self) -> bool:
        """Whether anything that the stage depends on is not what dvc.lock says."""
        with self.repo.lock:
            return bool(self.stage.changed(allow_missing=True))

    def pull(self, paths: Sequence[str]) -> None:
        """Bring what DVC keeps, hashed against dvc.lock."""
        with self.laps.of("pull"):
            intact.bring(self.repo, paths)


@contextmanager
def ready(s: Settings, commit: str, name: str, fragments: lock.Fragments) -> Iterator[Ready]:
    """Make a clean clone with the deps of a stage in it."""
    from dvc.repo import Repo

    laps = Laps()
    with ExitStack() as around:
        with laps.of("clone"):
            folder = around.enter_context(workspace(s, commit, name))
            graph.cut(folder, [name, *fragments])
            around.enter_context(chdir(folder))
            repo = around.enter_context(Repo())
            stage = next(stage for stage in repo.index.stages if getattr(stage, "name", None) == name)
            kept = _kept_deps(repo, stage)
            needed = {name, *kept.values()}  # of dvc.lock no more: DVC reads and writes all of it at each step, slowly
            lock.merge(folder, fragments, [one for one in graph.names(repo) if one in needed])
        prepared = Ready(folder, repo, stage, laps)
        prepared.pull(sorted(kept))
        yield prepared


def _run(s: Settings, prepared: Ready) -> None:
    """Run a stage whose deps have changed, push its outs, and note its results."""
    repo, stage = prepared.repo, prepared.stage
    memo = Memo(repo, base_of(stage))
    out = stage.outs[0].def_path
    with prepared.laps.of("pull"):
        hits = brought(memo, out, prepared.partitions) if prepared.partitions else set()
    prepared.pull(_raw(prepared, hits) if "each" in prepared.meta else _reads(s, prepared))
    with intact.kept(repo, [one.def_path for one in stage.outs]):
        with ExitStack() as around:
            if not prepared.partitions:
                around.enter_context(carried(memo, prepared.folder))
            around.enter_context(scrubbed(s.home / "stages"))
            around.enter_context(prepared.laps.of("repro"))
            _reproduce(repo, stage.name)
        with prepared.laps.of("push"):
            intact.push(repo, [stage.name])
    if prepared.partitions:
        with prepared.laps.of("push"):
            memo.record(made(prepared.folder / out, [p for p in prepared.partitions if p.path not in hits]))


def _raw(prepared: Ready, hits: set[str]) -> list[str]:
    """What must be brought of the raw partitions: those without a result, or their whole folder when there is none."""
    lacking = [str(RAW / p.path) for p in prepared.partitions if p.path not in hits]
    return lacking if hits or not lacking else [str(RAW / prepared.meta["each"])]


def _reads(s: Settings, prepared: Ready) -> list[str]:
    """What a stage reads through the index: `meta.reads`, a list, or a command that prints one as JSON."""
    reads = prepared.meta.get("reads", ())
    if not isinstance(reads, str):
        return list(reads)
    done = subprocess.run(
        shlex.split(reads),
        cwd=prepared.folder,
        env=scrubbed_environment(s.home / "stages"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stderr.strip()[-2000:], flush=True)
        check(reads, done.returncode)
    found: list[str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _kept_deps(repo: Any, stage: Any) -> dict[str, str]:
    """The deps that DVC keeps, with the stage each comes from, "" for a .dvc file; params.yaml and code are in git already.

    `repro -s` does not look upstream: what is stale or missing on disk would pass as unchanged, so these are pulled first.
    """
    root = PurePosixPath(repo.root_dir)
    deps = [PurePosixPath(dep.fs_path) for dep in stage.deps]
    found = {}
    for other in repo.index.stages:
        for out in (PurePosixPath(out.fs_path) for out in other.outs):
            for dep in deps:  # DVC takes outs as targets, and paths inside
                if out == dep or dep in out.parents or out in dep.parents:
                    path = dep if out in dep.parents else out
                    found[str(path.relative_to(root))] = getattr(other, "name", "")
    return found


def _reproduce(repo: Any, name: str) -> None:
    from dvc.exceptions import ReproductionError

    try:
        # no run-cache: what it brings was counted by nobody, and `make reproduce` compares counts
        repo.reproduce(targets=[name], single_item=True, allow_missing=True, run_cache=False)
    except ReproductionError as error:
        ended = re.search(r"exited with (-?\d+)", str(error.__cause__))
        if ended is None:  # DVC's own trouble: a lock, a full disk
            raise
        check(f"stage {name}", int(ended[1]))
