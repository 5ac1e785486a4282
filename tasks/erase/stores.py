"""DVC's cache of this machine and its remote, a folder or S3: the same handful of verbs for both."""

import json
from collections.abc import Collection, Iterator
from typing import Any

from tasks.erase.find import NO, Wanted, tells
from tasks.score.shelf import Shelf


class Stores:
    """The cache and the remote of an open DVC repository."""

    def __init__(self, repo: Any) -> None:
        """Take the repository."""
        self.by_name = {"cache": repo.cache.local, "remote": repo.cloud.get_remote_odb(hash_name="md5")}
        self.shelf = Shelf(repo)  # predictions
        remote = repo.cloud.get_remote()
        self._fs, self._memo = remote.fs, remote.fs.join(remote.path, "memo")

    def oids(self, name: str) -> set[str]:
        """All objects of a store."""
        odb = self.by_name[name]
        return set(odb.all()) if odb.fs.exists(odb.path) else set()

    def load(self, oid: str) -> list[dict[str, str]]:
        """The content of a `.dir` object; empty when neither store has it."""
        for odb in self.by_name.values():
            try:
                found: list[dict[str, str]] = json.loads(odb.fs.cat_file(odb.oid_to_path(oid)))
                return found
            except FileNotFoundError:
                continue
        return []

    def judge(self, wanted: Wanted) -> dict[str, int]:
        """What each object of either store tells of the samples (see `find.tells`), of those that tell anything."""
        told: dict[str, int] = {}
        seen: set[str] = set()
        for name in self.by_name:
            for oid in sorted(self.oids(name) - seen):
                seen.add(oid)
                if not oid.endswith(".dir") and (answer := self._tells(name, oid, wanted)) != NO:
                    told[oid] = answer
        return told

    def drop(self, name: str, oids: Collection[str]) -> None:
        """Delete objects that a store has."""
        odb = self.by_name[name]
        for oid in sorted(set(oids) & self.oids(name)):
            odb.fs.rm_file(odb.oid_to_path(oid))

    def facts(self, name: str, oid: str) -> tuple[int, float]:
        """Bytes of an object, and when it was written, s since 1970."""
        odb = self.by_name[name]
        path = odb.oid_to_path(oid)
        return int(odb.fs.size(path)), float(odb.fs.fs.modified(path).timestamp())

    def memo(self) -> Iterator[tuple[str, str, str]]:
        """Path, raw partition and result of each name of the memo."""
        if not self._fs.exists(self._memo):
            return
        for path in sorted(self._fs.find(self._memo)):
            words = self._fs.name(path).split("-")
            if len(words) >= 3 and len(words[0]) == len(words[1]) == 32:
                yield path, words[0], words[1]

    def drop_memo(self, paths: Collection[str]) -> None:
        """Delete names of the memo."""
        for path in paths:
            self._fs.rm_file(path)

    def open(self, oid: str) -> Any:
        """An object of either store, for reading.

        Raises:
            FileNotFoundError: neither has it.
        """
        for odb in self.by_name.values():
            if odb.fs.exists(odb.oid_to_path(oid)):
                return odb.fs.open(odb.oid_to_path(oid), "rb")
        raise FileNotFoundError(oid)

    def _tells(self, name: str, oid: str, wanted: Wanted) -> int:
        odb = self.by_name[name]
        path = odb.oid_to_path(oid)
        with odb.fs.open(path, "rb") as file:
            return tells(file, odb.fs.size(path), wanted)
