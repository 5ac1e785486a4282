"""What the commits of central name: raw partitions, and objects of DVC's stores."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.erase.stores import Stores
from tasks.run.git import git

MODELS = ("data/5_models/", "data/champion/", "data/anchor/", "data/start/")
PATHS = ("data/1_raw.json", "data/reference.json", "dvc.lock")


@dataclass(frozen=True)
class Named:
    """What one commit names.

    Attributes:
        raw: md5 of each partition of its index -> its path below data/1_raw.
        reference: md5s of the partitions that its encoders are fitted on.
        outs: md5 of each out in dvc.lock and the .dvc files -> its path.
    """

    raw: Mapping[str, str] = field(default_factory=dict)
    reference: frozenset[str] = frozenset()
    outs: Mapping[str, str] = field(default_factory=dict)


class Commits:
    """Reads commits of a clone of central; what many of them share is read once."""

    def __init__(self, clone: Path) -> None:
        """Take the clone."""
        self._clone = clone
        self._blobs: dict[str, bytes] = {}

    def named(self, sha: str) -> Named:
        """What one commit names."""
        lines = git("ls-tree", sha, "--", "data/", "dvc.lock", cwd=self._clone).splitlines()
        found = {path: about.split()[2] for about, path in (line.split("\t") for line in lines)}
        index, reference = (self._partitions(found.get(path)) for path in PATHS[:2])
        outs = self._locked(found[PATHS[2]]) if PATHS[2] in found else {}
        for path, blob in found.items():
            if path.endswith(".dvc"):
                outs |= {out["md5"]: path.removesuffix(".dvc") for out in self._yaml(blob)["outs"]}
        return Named(index, frozenset(reference), outs)

    def _partitions(self, blob: str | None) -> dict[str, str]:
        batches = json.loads(self._blob(blob))["batches"] if blob else []
        batches = [batch for batch in batches if isinstance(batch, dict)]
        return {p["md5"]: p["path"] for batch in batches for parts in batch["partitions"].values() for p in parts}

    def _locked(self, blob: str) -> dict[str, str]:
        stages = self._yaml(blob).get("stages") or {}
        return {out["md5"]: out["path"] for entry in stages.values() for out in entry.get("outs", ())}

    def _yaml(self, blob: str) -> Any:
        from dvc.utils.serialize import parse_yaml

        return parse_yaml(self._blob(blob).decode(), blob)

    def _blob(self, blob: str) -> bytes:
        if blob not in self._blobs:
            self._blobs[blob] = git("cat-file", "blob", blob, cwd=self._clone).encode()
        return self._blobs[blob]


class History:
    """All commits that any ref of central reaches."""

    def __init__(self, clone: Path, stores: Stores) -> None:
        """Read them.

        Args:
            clone: of central, with all of its refs.
            stores: where the lists of files of folders are.
        """
        self._stores = stores
        self._dirs: dict[str, Mapping[str, str]] = {}
        commits = Commits(clone)
        self.commits = {sha: commits.named(sha) for sha in git("rev-list", "--all", cwd=clone).split()}

    @cached_property
    def raw(self) -> dict[str, str]:
        """Every raw partition that an index ever named: md5 -> path."""
        return {md5: path for named in self.commits.values() for md5, path in named.raw.items()}

    def holding(self, raw: set[str]) -> set[str]:
        """The commits whose index names any of these raw partitions."""
        return {sha for sha, named in self.commits.items() if not raw.isdisjoint(named.raw)}

    def objects(self, sha: str) -> dict[str, str]:
        """md5 of each object that a commit names, those inside folders included -> its path."""
        found = {}
        for md5, path in self.commits[sha].outs.items():
            found[md5] = path
            if md5.endswith(".dir"):
                found |= {inner: f"{path}/{name}" for name, inner in self._folder(md5).items()}
        return found

    def _folder(self, md5: str) -> Mapping[str, str]:
        """Relative path -> md5 of the files in a folder; empty when the stores have lost it."""
        if md5 not in self._dirs:
            self._dirs[md5] = {entry["relpath"]: entry["md5"] for entry in self._stores.load(md5)}
        return self._dirs[md5]
