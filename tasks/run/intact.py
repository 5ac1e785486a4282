"""Bring what DVC keeps, and see that it is what dvc.lock names: the one way by which data reaches a workspace.

DVC compares what comes from the remote (`verify`), but believes what lies in the cache of this machine. So the files that
arrived are hashed here, cold; what is not as named is dropped, from the cache too, and brought again from the remote.
On the way out DVC only logs what it could not keep, a full disk for one, and calls it success: here that is an error.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.errors import NoData
from tasks.files import file_digest
from tasks.run.failures import Killed

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def bring(repo: Any, targets: Sequence[str]) -> None:
    """Pull, and hash what came.

    Args:
        repo: an open DVC repository.
        targets: outs, and paths inside them, from the repository's root; none is none.

    Raises:
        NoData: the remote lacks some of it, or holds it damaged.
    """
    from dvc.exceptions import DvcException

    if not targets:  # DVC would take none as all
        return
    for last in (False, True):
        _mend_lists(repo, targets)  # a damaged list of a folder would end DVC's pull with an error of its own
        try:
            repo.pull(targets=list(targets))
        except DvcException as error:
            if last:
                raise NoData(_lacking(repo, targets, str(error))) from error
            continue
        damaged = [path for path, md5 in _named(repo, targets) if not _drop_unless(path, md5)]
        if not damaged:
            return
        print(f"damaged on this machine, brought again: {', '.join(map(str, damaged[:5]))}", flush=True)
    raise NoData(_lacking(repo, targets, f"{damaged[0]} is not what dvc.lock names"))


def push(repo: Any, targets: Sequence[str]) -> None:
    """Push; the list of a folder that lies damaged in the remote is put there again, which DVC by itself never does.

    Args:
        repo: an open DVC repository.
        targets: stages, outs, and paths inside them, from the repository's root.

    Raises:
        ObjectFormatError: it is damaged here, too.
    """
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.errors import ObjectFormatError

    try:
        repo.push(targets=list(targets))
        return
    except ObjectFormatError as error:
        print(f"damaged in the remote, pushed again: {error}", flush=True)
    remote = repo.cloud.get_remote_odb()
    for name in {out.hash_info.value for out in repo.index.outs if out.hash_info and out.hash_info.isdir}:
        with suppress(ObjectFormatError, FileNotFoundError):
            HashFileDB.check(remote, name)  # it removes what is not what its name says
    repo.push(targets=list(targets))


@contextmanager
def kept(repo: Any, targets: Sequence[str]) -> Iterator[None]:
    """See that what the block adds to DVC, and pushes, is in the cache and in the remote when it ends.

    Args:
        repo: an open DVC repository.
        targets: outs, and paths inside them, from the repository's root.

    Raises:
        Killed: it is not; what DVC logged of it is told.
    """
    from dvc.exceptions import UploadError

    heard = _Heard()
    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    for logger in loggers:
        logger.addHandler(heard)
    try:
        yield
    except UploadError as error:
        raise Killed(f"DVC could not push {', '.join(targets)}: {heard.reason() or error}") from error
    finally:
        for logger in loggers:
            logger.removeHandler(heard)
    if any(not Path(repo.cache.local.oid_to_path(md5)).is_file() for md5 in _contents(repo, targets)):
        raise Killed(f"DVC could not keep {', '.join(targets)} in its cache: {heard.reason() or 'it said no reason'}")


class _Heard(logging.Handler):
    """What DVC logged as errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self._texts.append(" ".join(f"{record.getMessage()} {cause or ''}".split()))

    def reason(self) -> str:
        """The first of them, in words for who has to make room; empty when there was none."""
        full = any("No space left" in text for text in self._texts)
        return "no room left on the disk: make room; it is tried again" if full else next(iter(self._texts), "")


def _contents(repo: Any, targets: Sequence[str]) -> Iterator[str]:
    """The objects that dvc.lock and the lists of folders name below some targets, lists first."""
    for out, wanted in _outs(repo, targets):
        name = out.hash_info.value if out.hash_info else ""
        if name.endswith(".dir"):
            yield name  # without it the folder's files are not known, and the caller stops here
        for path, md5 in _files(out) if out.hash_info else ():
            if path == wanted or wanted in path.parents:
                yield md5


def _lacking(repo: Any, targets: Sequence[str], why: str) -> str:
    root = Path(repo.root_dir)
    shown = ", ".join(str((root / target).relative_to(root)) for target in targets)
    reason = " ".join(COLOUR.sub("", why).replace(f"{root}/", "").split())
    return (
        f"the DVC remote lacks {shown} as dvc.lock names it ({reason}):"
        " `dvc push` it from where it was made, or restore the remote from its backup"
    )


def _outs(repo: Any, targets: Sequence[str]) -> Iterator[tuple[Any, Path]]:
    """Each out that a target names or holds, or that holds a target, with the path that is wanted of it."""
    root = Path(repo.root_dir)
    wanted = [root / target for target in targets]
    for out in repo.index.outs:
        path = Path(out.fs_path)
        for target in wanted:
            if path == target or target in path.parents:
                yield out, path
            elif path in target.parents:
                yield out, target


def _mend_lists(repo: Any, targets: Sequence[str]) -> None:
    """Drop the lists of folders that the cache holds damaged."""
    for out, _ in _outs(repo, targets):
        name = out.hash_info.value if out.hash_info else None
        if name and name.endswith(".dir"):
            _drop_unless(Path(repo.cache.local.oid_to_path(name)), name.removesuffix(".dir"), absent=True)


def _named(repo: Any, targets: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """The files that were brought, and the md5 that dvc.lock or a folder's list names; damaged cache objects are dropped."""
    for out, wanted in _outs(repo, targets):
        if not out.hash_info:
            continue
        for path, md5 in _files(out):
            if path == wanted or wanted in path.parents:
                if path.is_file() and file_digest(path, "md5") != md5:
                    _drop_unless(Path(repo.cache.local.oid_to_path(md5)), md5, absent=True)
                yield path, md5


def _files(out: Any) -> Iterator[tuple[Path, str]]:
    path = Path(out.fs_path)
    if not out.hash_info.isdir:
        yield path, out.hash_info.value
        return
    for parts, _, content in out.get_obj() or ():
        yield path.joinpath(*parts), content.value


def _drop_unless(path: Path, md5: str, absent: bool = False) -> bool:
    """Whether a file has this content; one that has another is removed.

    Args:
        path: the file.
        md5: of what it should hold.
        absent: what to answer when there is none.
    """
    if not path.is_file():
        return absent
    if file_digest(path, "md5") == md5:
        return True
    path.unlink()
    return False
