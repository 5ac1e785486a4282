"""DVC objects that no kept commit names, by DVC's own reckoning, and names of the memo that lead nowhere.

`dvc gc` takes one revision or all tags and branches, and deletes what a run has pushed a moment ago; so DVC says here what
the kept commits use, and what is younger than a day stays.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.erase.history import Commits
from tasks.erase.stores import Stores
from tasks.run.atwork import DAY_S


@dataclass(frozen=True)
class Unused:
    """What can go.

    Attributes:
        oids: store (`cache`, `remote`) -> objects.
        sizes: store -> their bytes.
        memo: names of the memo.
    """

    oids: dict[str, list[str]]
    sizes: dict[str, int]
    memo: list[str]


def unused(repo: Any, clone: Path, kept: list[str], clock: Callable[[], float] = time.time) -> Unused:
    """Compare what the stores hold with what the kept commits name.

    Args:
        repo: an open DVC repository in `clone`.
        clone: of central.
        kept: commits.
        clock: seconds since 1970.
    """
    stores, used = Stores(repo), _used(repo, kept)
    oids: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for name in stores.by_name:
        facts = {oid: stores.facts(name, oid) for oid in sorted(stores.oids(name) - used)}
        old = {oid: size for oid, (size, modified_s) in facts.items() if clock() - modified_s > DAY_S}
        oids[name], sizes[name] = list(old), sum(old.values())
    remaining = stores.oids("remote") - set(oids["remote"])
    commits = Commits(clone)
    partitions = {md5 for sha in kept for md5 in commits.named(sha).raw}
    return Unused(oids, sizes, list(_leading_nowhere(stores, partitions, remaining)))


def drop(repo: Any, found: Unused) -> None:
    """Delete names first, then what they lead to, then what is made again: the cache."""
    stores = Stores(repo)
    stores.drop_memo(found.memo)
    for name in ("remote", "cache"):
        stores.drop(name, found.oids[name])


def _used(repo: Any, kept: list[str]) -> set[str]:
    """What DVC says that these commits use, files inside folders included.

    Raises:
        CollectCacheError: a folder's list of files is in neither store, so it is unknown what is inside.
    """
    logging.getLogger("dvc").setLevel(logging.ERROR)  # it warns of each stage that has not run at a commit: at `main`, of all
    return {info.value for infos in repo.used_objs(revs=kept).values() for info in infos}


def _leading_nowhere(stores: Stores, partitions: set[str], remaining: set[str]) -> Iterator[str]:
    for path, partition, result in stores.memo():
        if partition not in partitions or result not in remaining:
            yield path
