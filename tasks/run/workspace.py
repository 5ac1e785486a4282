"""A clean clone of central at one commit, with DVC told where its remote and cache are; thrown away afterwards."""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.run.git import git
from tasks.run.settings import Settings

LOCK = ".lock"
ABSENT = ("tests", "docs")  # folders that no stage reads: 42 % of the files, and making files is what a checkout costs


@contextmanager
def workspace(s: Settings, commit: str, name: str, cache: Path | None = None) -> Iterator[Path]:
    """Give a fresh clone; no two tries ever share one.

    Args:
        s: where central, remote and cache are.
        commit: what to check out, detached.
        name: a word for the folder's name, for people who look into <home>/work.
        cache: another cache than the machine's, e.g. an empty one.
    """
    parent = s.home / "work"
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    with claimed(parent, f"{name.replace('@', '.').replace('/', '.')}-") as folder:
        shared = ["--shared"] if Path(s.central).is_dir() else []  # objects are borrowed: 0.02 s
        sparse = ["--config", "core.sparseCheckout=true"]
        git("clone", "--quiet", "--no-checkout", *sparse, *shared, s.central, str(folder))
        (folder / ".git/info").mkdir(exist_ok=True)
        (folder / ".git/info/sparse-checkout").write_text("".join(f"{line}\n" for line in ("/*", *(f"!/{n}/" for n in ABSENT))))
        git("checkout", "--quiet", "--detach", commit, cwd=folder)
        configure_dvc(folder, s, cache or s.cache)
        yield folder


@contextmanager
def claimed(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder, gone afterwards; a lock beside it says that its owner lives, however that ends."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=LOCK, dir=parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # nobody swept it between the two calls
            break
        os.close(descriptor)
    folder = Path(name.removesuffix(LOCK))
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Path(name).unlink(missing_ok=True)
        os.close(descriptor)


def sweep(parent: Path) -> None:
    """Remove what tries left behind whose process was killed."""
    for lock in parent.glob(f"*{LOCK}"):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another one was faster
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_name(lock.name.removesuffix(LOCK)), ignore_errors=True)
            lock.unlink(missing_ok=True)
        except BlockingIOError:
            pass  # its owner is at work
        finally:
            os.close(descriptor)


def configure_dvc(folder: Path, s: Settings, cache: Path) -> None:
    """Write .dvc/config.local, which git ignores.

    Without `autostage`: DVC stages with a library of its own, and git then takes a file for unchanged that was written again
    in the second of its checkout. Who commits stages all, by git; DVC's hint that one should is told to nobody.
    """
    logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)
    cache.mkdir(parents=True, exist_ok=True)
    endpoint = f'    endpointurl = "{s.s3_endpoint}"\n' if s.s3_endpoint and s.remote.startswith("s3://") else ""
    (folder / ".dvc" / "config.local").write_text(
        f"[core]\n    analytics = false\n    check_update = false\n"
        f'    site_cache_dir = "{folder / ".dvc" / "tmp" / "site"}"\n'
        f'[cache]\n    dir = "{cache}"\n'
        f'[\'remote "nightloom"\']\n    url = "{s.remote}"\n    verify = true\n{endpoint}'
    )
