"""Delete what nothing needs any more: `make gc` shows it, `make gc YES=1` does it.

    refs       old run refs
    objects    DVC objects that no kept commit names, and names of the memo that lead nowhere
    tries      workspaces of processes that are gone, halves of objects that they were writing
    uploads    to S3, in parts, that nobody finished
    rows       Airflow's and MLflow's

Kept are the commits of `main`, of the registry's tags, of `nightly`'s last nights and of recent runs, and all that they
name: raw data of the current index, every version. What is younger than a day is never touched.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from tasks.gc import objects, rows, tries, uploads
from tasks.gc.refs import drop_refs, kept_commits, old_refs
from tasks.run.atwork import require_none
from tasks.run.settings import Settings
from tasks.run.workspace import workspace

Clock = Callable[[], float]


@dataclass(frozen=True)
class Ages:
    """How long things stay."""

    nights: int = 30  # of `nightly`, whose every object stays
    runs_days: int = 30  # refs of runs; failed runs in MLflow
    rows_days: int = 90  # rows of Airflow


def collect(s: Settings, root: Path, ages: Ages, yes: bool, idle: bool = False, clock: Clock = time.time) -> list[str]:
    """Look for what can go and, with `yes`, delete it.

    Args:
        s: where things are.
        root: the checkout.
        ages: how long things stay.
        yes: delete, rather than only look.
        idle: the caller knows that no run is at work.
        clock: s since 1970.

    Returns:
        What goes, a line each.

    Raises:
        Refused: a run may be at work.
        CollectCacheError: DVC cannot tell what a kept commit names; nothing of its objects was deleted.
    """
    from dvc.repo import Repo

    lines: list[str] = []
    with workspace(s, "HEAD", "gc") as folder, chdir(folder):
        if yes and not idle:
            require_none(folder, clock)
        refs = old_refs(folder, ages.runs_days, clock)
        if yes:
            drop_refs(folder, s.central, refs)
        lines.append(f"{len(refs)} refs of runs older than {ages.runs_days} days")
        kept = kept_commits(folder, ages.nights, without={ref.commit for ref in refs})
        with Repo() as repo:
            found = objects.unused(repo, folder, kept, clock)
            if yes:
                objects.drop(repo, found)
        lines += _told(found)
    dead = tries.dead(s.home / "work", clock)
    halves = tries.halves([s.cache, Path(s.remote)], clock)
    if yes:
        tries.drop([*dead, *halves])
    lines.append(f"{len(dead)} workspaces of processes that are gone, {len(halves)} halves of objects that they left")
    lines += uploads.clean(s.remote, yes, clock)
    return [*lines, *rows.clean(s, root, ages.rows_days, ages.runs_days, yes)]


def _told(found: objects.Unused) -> Sequence[str]:
    return [
        *(f"{len(oids)} objects in the {store}, {found.sizes[store] / 1e6:.1f} MB" for store, oids in found.oids.items()),
        f"{len(found.memo)} names in the memo",
    ]
