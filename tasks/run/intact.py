"""Bring what DVC keeps, and see that it is what dvc.lock names: the one way by which data reaches a workspace.

DVC compares what comes from the remote (`verify`), but believes what lies in the cache of this machine. So the files that
arrived are hashed here, cold; what is not as named is dropped, from the cache too, and brought again from the remote.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tasks.contracts import file_digest
from tasks.errors import NoData


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
                raise NoData(_lacking(targets, str(error))) from error
            continue
        damaged = [path for path, md5 in _named(repo, targets) if not _drop_unless(path, md5)]
        if not damaged:
            return
        print(f"damaged on this machine, brought again: {', '.join(map(str, damaged[:5]))}", flush=True)
    raise NoData(_lacking(targets, f"{damaged[0]} is not what dvc.lock names"))


def _lacking(targets: Sequence[str], why: str) -> str:
    return (
        f"the DVC remote lacks {', '.join(targets)} as dvc.lock names it ({' '.join(why.split())}):"
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
