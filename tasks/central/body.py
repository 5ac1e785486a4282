"""The body of a request, block by block: of a length that was said before, or in chunks."""

import re
from collections.abc import Iterator, Mapping
from email.message import Message
from io import BufferedIOBase

CHUNK = 1 << 16  # bytes


class TooLarge(Exception):
    """A request's body is over the limit."""


class Broken(Exception):
    """A request's body is not what its headers say."""


def blocks(source: BufferedIOBase, headers: "Mapping[str, str] | Message[str, str]", limit: int) -> Iterator[bytes]:
    """Yield a request's body.

    Args:
        source: where it comes from; nothing beyond the body is read.
        headers: the request's; a Content-Length is a number no larger than the limit.
        limit: bytes.

    Raises:
        TooLarge: there is more than the limit.
        Broken: it ends early, or a chunk has no size.
    """
    if "chunked" not in (headers.get("Transfer-Encoding") or "").lower():
        yield from _exactly(source, int(headers.get("Content-Length") or 0))
        return
    total = 0
    while size := _chunk_size(source):
        total += size
        if total > limit:
            raise TooLarge
        yield from _exactly(source, size)
        source.readline(8)  # the end of the chunk's last line
    source.readline(8)


def _chunk_size(source: BufferedIOBase) -> int:
    size = source.readline(64).split(b";")[0].strip()
    if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
        raise Broken("a chunk has no size")
    return int(size, 16)


def _exactly(source: BufferedIOBase, size: int) -> Iterator[bytes]:
    while size:
        block = source.read(min(size, CHUNK))
        if not block:
            raise Broken("the body ends early")
        size -= len(block)
        yield block
