"""What the tests of several kinds write: arrays as files, and files that something was done to."""

import io
from collections.abc import Iterator

import numpy as np


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
