"""Samples that nearly agree: perceptual hashes of which few bits differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NEAR = "near of {}"  # column of data/3_manifest/contents.parquet
NEAR_BITS = 3  # of 64; hashes that differ in at most 3 bits agree in at least one of four 16-bit blocks
NEIGHBOURS = 8

Bits = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Hashes:
    """One modality of n samples.

    Attributes:
        bits: uint64 [n]; 0 where there is no hash.
        known: bool [n], where there is one.
        has: bool [n], which samples have the modality.
    """

    bits: Bits
    known: npt.NDArray[np.bool_]
    has: npt.NDArray[np.bool_]


def twins(one: Mapping[str, Hashes], other: Mapping[str, Hashes]) -> Rows:
    """For each sample of `one` a sample of `other` that nearly equals it in every modality that it has.

    Each is compared with its neighbours among the others, sorted by each rotation of each hash (see `near_train` in
    tasks/validate/leaks.py) and by all hashes at once: O(n log n). Equals in all are always found, others where some modality's
    neighbourhood is not crowded. A sample with a modality that has no hash (silence, an even surface) is like none.

    Args:
        one: modality -> hashes of n samples.
        other: hashes of m samples, of the same modalities.

    Returns:
        int64 [n], rows of `other`; -1 where none was found.
    """
    told = np.logical_and.reduce([body.known | ~body.has for body in one.values()])
    told &= np.logical_or.reduce([body.has for body in one.values()])
    found = np.full(len(told), -1)
    for (mine, here), (theirs, there) in zip(_keys(one), _keys(other), strict=True):
        known = np.flatnonzero(there)
        if not len(known):
            continue
        order = known[np.argsort(theirs[known], kind="stable")]
        left = np.flatnonzero(told & here & (found < 0))
        place = np.searchsorted(theirs[order], mine[left])
        for lag in range(-NEIGHBOURS, NEIGHBOURS):
            close = order[np.clip(place + lag, 0, len(order) - 1)]
            same = _alike(one, left, other, close)
            found[left[same]] = close[same]
    return found


def _keys(of: Mapping[str, Hashes]) -> Iterator[tuple[Bits, npt.NDArray[np.bool_]]]:
    """What samples are sorted by, and which have it."""
    mixed = np.zeros(len(next(iter(of.values())).bits), np.uint64)
    for name in sorted(of):
        bits = of[name].bits
        for block in range(0, 64, 16):
            yield (bits << np.uint64(block)) | (bits >> np.uint64((64 - block) % 64)), of[name].known
        mixed = (mixed ^ np.where(of[name].known, bits, 0).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    yield mixed, np.ones(len(mixed), np.bool_)


def _alike(one: Mapping[str, Hashes], rows: Rows, other: Mapping[str, Hashes], close: Rows) -> npt.NDArray[np.bool_]:
    same = np.ones(len(rows), np.bool_)
    for name, mine in one.items():
        theirs = other[name]
        near = np.bitwise_count(mine.bits[rows] ^ theirs.bits[close]) <= NEAR_BITS
        same &= ~mine.has[rows] | (theirs.known[close] & near)
    return same
