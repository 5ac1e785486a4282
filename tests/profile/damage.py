"""What the tests of several kinds write: arrays as files, and files that something was done to."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np

GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # the header before what is deflated


def npy(array: np.ndarray, **more) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **more)
    return file.getvalue()


def damaged(whole: bytes, copies: int, head: int) -> Iterator[bytes]:
    """Copies of a file, two in five of them cut off, with four bytes changed; more than half of those in its first `head`."""
    rng = np.random.default_rng(len(whole))
    for _ in range(copies):
        data = bytearray(whole)
        if rng.random() < 0.4:
            data = data[: int(rng.integers(1, len(data)))]
        for at in rng.integers(0, len(data), 4):
            data[min(int(at), head, len(data) - 1) if rng.random() < 0.6 else int(at)] = int(rng.integers(0, 256))
        yield bytes(data)


def changed(data: bytes, at: int | bytes, form: str, *values: int | float, skip: int = 0) -> bytes:
    """A file in which other numbers stand at a place, or `skip` bytes behind a word."""
    place = at if isinstance(at, int) else data.index(at) + len(at) + skip
    new = struct.pack(form, *values)
    return data[:place] + new + data[place + len(new) :]


def deflated(first: bytes, mib: int) -> bytes:
    """Some bytes and then so many MiB of zeros, deflated: a thousandth of that."""
    packer = zlib.compressobj(9, wbits=-15)
    head = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # stands alone, so it may stand often
    return head + block * mib + b"\x03\0"
