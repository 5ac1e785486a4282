"""What a landed batch is read through: a folder (tasks/ingest/folder.py) or an S3 prefix (tasks/ingest/s3.py)."""

from collections.abc import Iterator
from typing import Protocol

from tasks.errors import ContractBroken


class Unreadable(ContractBroken):
    """This one file cannot be taken; the message completes `<column>: <path> …` and is the same for every store."""


ABSENT = "is not in the batch"
EMPTY = "is empty"


def too_large(size: int, limit: int) -> Unreadable:
    """The refusal of a file of `size` bytes."""
    return Unreadable(f"has {size} bytes, at most {limit} are allowed (ingest.file_mb)")


class Store(Protocol):
    """The files of one batch."""

    def read(self, path: str, limit: int) -> bytes:
        """Read a file whose path passed `names.path_problem`; its size is looked at before its content.

        Args:
            path: relative to the batch, with `/`.
            limit: bytes.

        Raises:
            Unreadable: it is absent, empty, larger than `limit`, or reached through a symbolic link.
            NoData: the store itself does not answer; nothing is said about the file.
        """

    def listing(self) -> Iterator[str]:
        """Yield one line per file: path, size and what changes with its content (time or ETag). Opens no file."""
