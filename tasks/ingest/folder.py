"""A batch in a folder. No symbolic link is followed, whatever it points to."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.ingest.store import ABSENT, EMPTY, Unreadable, too_large

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a named pipe must not make us wait
# Absent, a file where a folder was expected, a link put there since we looked, a name longer than any file's.
MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


@dataclass(frozen=True)
class Folder:
    """The files below one folder (see `store.Store`)."""

    root: Path

    def read(self, path: str, limit: int) -> bytes:
        """Read a file, opened part by part from the batch's own folder so that no link and no rename leads out of it."""
        descriptor = self._open(path)
        try:
            status = os.fstat(descriptor)
            _check(status, limit)
            content = _content(descriptor, min(limit, status.st_size) + 1)
        finally:
            os.close(descriptor)
        if len(content) > status.st_size:  # it grew after we looked
            raise Unreadable("is being written: land a batch's metadata.csv last")
        return content

    def _open(self, path: str) -> int:
        *folders, name = path.split("/")
        try:
            here = os.open(self.root, FOLDER)
        except OSError as error:
            raise Unreadable(f"lies in a folder that cannot be opened: {error.strerror}") from error
        try:
            for folder in folders:
                below = _step(folder, FOLDER, here)
                os.close(here)
                here = below
            return _step(name, FILE, here)
        finally:
            os.close(here)

    def listing(self) -> Iterator[str]:
        """Yield `path size time` for each file; the time is in ns."""
        for folder, folders, names in os.walk(self.root):  # follows no links
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                status = path.lstat()
                yield f"{path.relative_to(self.root).as_posix()} {status.st_size} {status.st_mtime_ns}"


def _step(name: str, flags: int, here: int) -> int:
    try:
        if stat.S_ISLNK(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
            raise Unreadable("passes through a symbolic link; land the file itself")
        return os.open(name, flags, dir_fd=here)
    except PermissionError as error:
        raise Unreadable("may not be read by this user") from error
    except OSError as error:
        if error.errno in MISSING:
            raise Unreadable(ABSENT) from error
        raise


def _check(status: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("is no regular file")
    if status.st_size > limit:
        raise too_large(status.st_size, limit)
    if not status.st_size:
        raise Unreadable(EMPTY)


def _content(descriptor: int, most: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(most)
