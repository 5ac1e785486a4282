"""A reflink that is there whole or not at all.

DVC tries to clone a file before it copies one, and makes the clone under its final name: a process that is killed between the
two leaves an empty object there, also where the file system cannot clone. Everything else DVC writes under a temporary name.
"""

from pathlib import Path


def reflink_whole() -> None:
    """Let DVC in this process clone to a temporary name first, one that `make gc` knows."""
    from dvc_objects.fs import system
    from dvc_objects.fs.utils import tmp_fname

    clone = system.reflink

    def whole(source: str, to: str) -> None:
        temporary = str(Path(to).with_name(tmp_fname()))
        clone(source, temporary)  # type: ignore[no-untyped-call]  # it removes what it made when it cannot
        Path(temporary).rename(to)

    system.reflink = whole
