"""`nightly` moves by compare-and-set: one of several runs that are at work at once is first, the others learn who was."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.files import read_json
from tasks.promote import registry
from tasks.run.git import compare_and_set, git, resolve
from tasks.run.open import NIGHTLY
from tasks.run.settings import Settings


@dataclass(frozen=True)
class Winner:
    """What came first: in words, and whether it closed the very same tree, so that nothing is left to do."""

    told: str
    same: bool = False


def move(s: Settings, folder: Path, opened: Mapping[str, Any], commit: str, judged: bool) -> Winner | None:
    """Move `nightly` from where it was when the run was opened to the commit that closes it.

    Args:
        s: where central is.
        folder: the run's workspace.
        opened: what `open` returned.
        commit: the closed commit.
        judged: whether it holds a verdict, which is about the champion of that time.

    Returns:
        None when it moved, now or at an earlier try; otherwise who was faster.
    """
    parents = git("log", "-1", "--format=%P", opened["commit"], cwd=folder).split()
    for _ in range(2):  # the second look names who won between the first look and our push
        git("fetch", "--quiet", "--tags", "origin", cwd=folder)
        now = resolve(folder, "nightly")
        if now and git("merge-base", now, commit, cwd=folder) == commit:
            return None  # closed before: the same task, delivered twice
        if now and now not in parents:
            return Winner(_named(folder, now), same=_tree(folder, now) == _tree(folder, commit))
        if judged and (replaced := _replaced(folder)):
            return Winner(replaced)
        if compare_and_set(folder, s.central, NIGHTLY, now or "", commit):
            return None
    return Winner(_named(folder, str(resolve(folder, "nightly"))))


def _named(folder: Path, commit: str) -> str:
    run = git("log", "-1", "--format=%(trailers:key=Run,valueonly,separator=%x20)", commit, cwd=folder)
    return f"run {run or 'without a name'} ({git('log', '-1', '--format=%s', commit, cwd=folder)})"


def _tree(folder: Path, commit: str) -> str:
    return git("rev-parse", f"{commit}^{{tree}}", cwd=folder)


def _replaced(folder: Path) -> str:
    """The champion that came since the run was opened; nothing when the one it was judged against still reigns."""
    against = read_json(folder / "data/registry.json")["champion"]["number"]
    reign = registry.champion(str(folder))
    if reign is None or reign.number == against:
        return ""
    return f"run {reign.trailers.get('Run', 'without a name')} (champion #{reign.number} is {reign.version})"
