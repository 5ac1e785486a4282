"""What was computed before: results of raw partitions, and checkpoints of a training that was cut off.

Values are DVC objects, kept and checked by DVC. What is added are names, empty objects beside `files/` in DVC's remote:

    memo/<base>/<partition md5>-<result md5>-<check><suffix>      the result of one partition
    memo/<base>/checkpoint/<file>~<number>~<md5>                  the bytes of a checkpoint

`base` is the hash of all that a stage depends on (command, parameters, code, packages, encoder) but the partitions. A name is
written once and whole, whoever writes it and however often; one that does not check is no name; of a partition with two
results neither is believed. So nothing here can make a result wrong, only make it be computed again.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.files import file_digest
from tasks.index import Partition
from tasks.paths import INDEX, MEMO

NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{32})-([0-9a-f]{8})(\.[a-z0-9]+)?")
KEPT = re.compile(r"([A-Za-z0-9._-]+)~([0-9]+)~([0-9a-f]{32})")


@dataclass(frozen=True)
class Result:
    """The result of one partition: its content, and how its file's name ends."""

    md5: str
    suffix: str


def base_of(stage: Any) -> str:
    """Hash what a stage of an open DVC repository depends on, the index of raw partitions left out; its deps must be there."""
    from dvc.dependency.param import ParamsDependency

    plain = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency) and dep.def_path != str(INDEX)]
    params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    facts = {
        "cmd": stage.cmd,
        "deps": {dep.def_path: dep.get_hash().value for dep in plain},
        "params": {dep.def_path: dep.read_params() for dep in params},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


class Memo:
    """The names of one base in DVC's remote."""

    def __init__(self, repo: Any, base: str) -> None:
        """Take an open DVC repository, whose remote and cache hold the values."""
        self._repo, self._base = repo, base
        remote = repo.cloud.get_remote()
        self._fs = remote.fs
        self._folder = self._fs.join(remote.path, "memo", base)

    def results(self) -> dict[str, Result]:
        """Partition md5 -> result, of all names that check."""
        found: dict[str, set[Result]] = {}
        for name in self._listed(self._folder):
            match = NAME.fullmatch(name)
            if match and match[3] == self._check(match[1], match[2]):
                found.setdefault(match[1], set()).add(Result(match[2], match[4] or ""))
        return {partition: results.pop() for partition, results in found.items() if len(results) == 1}

    def bring(self, wanted: Mapping[Path, str]) -> set[Path]:
        """Copy values to files, fetched where this machine lacks them.

        Args:
            wanted: the file to make -> md5 of the value.

        Returns:
            The files that could be made; the value of another one is absent, cut or damaged.
        """
        lacking = set(wanted.values())
        for _ in range(2):  # once more: a damaged value was dropped from the cache, the remote's may be whole
            self._fetch(lacking)
            lacking = {md5 for md5 in lacking if not self._intact(md5)}
            if not lacking:
                break
        whole = {path for path, md5 in wanted.items() if md5 not in lacking}
        for path in whole:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._cached(wanted[path]), path)  # a copy: nobody can write into the cache through it
        return whole

    def record(self, results: Mapping[str, Result]) -> None:
        """Write the names of results that the remote holds by now."""
        self._fs.makedirs(self._folder, exist_ok=True)
        for partition, result in results.items():
            name = f"{partition}-{result.md5}-{self._check(partition, result.md5)}{result.suffix}"
            self._fs.pipe_file(self._fs.join(self._folder, name), b"")

    def restore(self, to: Path) -> list[str]:
        """Bring the newest whole checkpoint of each file; return the files' names."""
        to.mkdir(parents=True, exist_ok=True)
        folder, restored = self._fs.join(self._folder, "checkpoint"), []
        for file, number, md5 in sorted(self._checkpoints(), key=lambda kept: -kept[1]):
            if file not in restored:
                content = self._fs.cat_file(self._fs.join(folder, f"{file}~{number}~{md5}"))
                if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
                    (to / file).write_bytes(content)
                    restored.append(file)
        return restored

    def keep(self, path: Path) -> None:
        """Keep a checkpoint's bytes, and drop older ones of the same name."""
        content = path.read_bytes()
        older = [kept for kept in self._checkpoints() if kept[0] == path.name]
        number = max((number for _, number, _ in older), default=0) + 1
        folder = self._fs.join(self._folder, "checkpoint")
        self._fs.makedirs(folder, exist_ok=True)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self._fs.pipe_file(self._fs.join(folder, f"{path.name}~{number}~{md5}"), content)
        for file, old, digest in older:
            self._fs.rm_file(self._fs.join(folder, f"{file}~{old}~{digest}"))

    def drop_checkpoints(self) -> None:
        """Forget the checkpoints: the stage has ended well."""
        for file, number, md5 in list(self._checkpoints()):
            self._fs.rm_file(self._fs.join(self._folder, "checkpoint", f"{file}~{number}~{md5}"))

    def _checkpoints(self) -> Iterator[tuple[str, int, str]]:
        for name in self._listed(self._fs.join(self._folder, "checkpoint")):
            if match := KEPT.fullmatch(name):
                yield match[1], int(match[2]), match[3]

    def _listed(self, folder: str) -> list[str]:
        try:
            self._fs.fs.invalidate_cache()
            return [self._fs.name(path) for path in self._fs.ls(folder, detail=False)]
        except FileNotFoundError:
            return []

    def _check(self, partition: str, result: str) -> str:
        return hashlib.sha256(f"{self._base} {partition} {result}".encode()).hexdigest()[:8]

    def _fetch(self, md5s: Collection[str]) -> None:
        from dvc_data.hashfile.hash_info import HashInfo

        if md5s:  # what the remote lacks, or holds damaged, is a miss
            self._repo.cloud.pull([HashInfo("md5", md5) for md5 in md5s])

    def _cached(self, md5: str) -> Path:
        return Path(self._repo.cache.local.oid_to_path(md5))

    def _intact(self, md5: str) -> bool:
        path = self._cached(md5)
        if path.is_file() and file_digest(path, "md5") == md5:
            return True
        if path.is_file():
            path.chmod(0o644)
            path.unlink()
        return False


def brought(memo: Memo, out: str, partitions: Collection[Partition]) -> set[str]:
    """Bring the results of partitions to where the stage looks for them.

    Args:
        memo: of the stage.
        out: the stage's out, a folder.
        partitions: all that it is made of.

    Returns:
        The paths of the partitions whose results are there.
    """
    results = memo.results()
    files = {MEMO / out / f"{p.stem}{results[p.md5].suffix}": p for p in partitions if p.md5 in results}
    return {files[path].path for path in memo.bring({path: results[p.md5].md5 for path, p in files.items()})}


def made(out: Path, partitions: Collection[Partition]) -> dict[str, Result]:
    """Partition md5 -> result, of the files that a stage has written; a partition without a file has none."""
    files = {path.stem: path for path in out.iterdir() if path.is_file()}
    return {p.md5: Result(file_digest(files[p.stem], "md5"), files[p.stem].suffix) for p in partitions if p.stem in files}
