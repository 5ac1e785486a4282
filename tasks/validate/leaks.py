"""Where a sample, its group or its content stands on both sides of a split.

What counts as the same content: the bytes of all *dense* modalities that a sample has (image, audio, pointcloud, timeseries,
video, volume), taken together. Text and table cells are left out: the same word is typed, the same number measured, many times
in good faith.
The bytes of a single dense modality may repeat for dull reasons too (a covered camera, silence), so one modality alone,
equal or nearly equal, is a warning and never costs a sample.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.near import NEAR_BITS, NEIGHBOURS
from tasks.validate.night import Night

DENSE = frozenset({"audio", "image", "pointcloud", "timeseries", "video", "volume"})


def dense(night: Night) -> list[str]:
    """Names of the modalities whose bytes do not repeat by chance."""
    return [name for name, modality in night.params.modalities.items() if modality.kind in DENSE]


def content(night: Night) -> pd.Series:
    """Each landed row's content in one word, "" where it has no dense modality that can be decoded."""
    words = pd.Series("", index=night.landed.index)
    for name in dense(night):
        profile = night.profiles[name]
        ok = profile[profile["ok"]]
        words[ok.index] += f"{name} " + ok["sha256"].astype(str) + "\n"
    told = words != ""
    words[told] = words[told].map(lambda text: hashlib.sha256(text.encode()).hexdigest())
    return words


def copies(keys: pd.Series, parts: pd.Series, seniority: pd.Series) -> pd.Index:
    """Rows that must go so that no key stands in two parts: the senior copy stays, among equals train's, then the first.

    So a later batch never costs an earlier one a sample, and what encoders were fitted on never stands in another part.

    Args:
        keys: what is shared, "" = nothing; in the order in which rows landed.
        parts: train, val, test, or "" for a row in no part; aligned with `keys`.
        seniority: 0 for rows of the reference, then batches by their order; aligned with `keys`.
    """
    found = pd.DataFrame({"key": keys, "part": parts, "seniority": seniority, "order": np.arange(len(keys))})
    found = found[(keys != "") & (parts != "")]
    found["other"] = found["part"] != "train"
    first = found.sort_values(["seniority", "other", "order"]).groupby("key")["part"].first()
    return found.index[found["part"] != found["key"].map(first)]


def crossing(keys: pd.Series, parts: pd.Series) -> list[str]:
    """The keys that stand in more than one part, sorted."""
    told = (keys != "") & (parts != "")
    counts = parts[told].groupby(keys[told]).nunique()
    return sorted(counts.index[counts > 1])


def stray(keys: pd.Series, parts: pd.Series) -> pd.Series:
    """The keys of rows that stand in another part than the key's first row, so that whoever landed later is to blame.

    Args:
        keys: never empty; in the order in which rows landed.
        parts: aligned with `keys`; a row in no part ("") strays nowhere.
    """
    found = keys[parts != ""]
    first = parts[found.index].groupby(found).first()
    return found[parts[found.index] != found.map(first)]


def near_train(hashes: npt.NDArray[np.int64], train: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Find rows outside train whose hash is within `NEAR_BITS` bits of one in train.

    Sorted rotations of the hash bring near ones next to each other (Manku, Jain, Das Sarma, "Detecting near-duplicates
    for web crawling", 2007); each row is compared with its `NEIGHBOURS` next rows of each rotation, O(n log n) in all.
    Equal hashes are always found, others where a block's neighbourhood is not crowded.

    Args:
        hashes: int64 [n], perceptual hashes.
        train: bool [n].

    Returns:
        bool [n], off for rows of train.
    """
    bits = hashes.astype(np.int64).view(np.uint64)
    found = np.isin(bits, bits[train]) & ~train
    for block in range(0, 64, 16):
        turned = (bits << np.uint64(block)) | (bits >> np.uint64((64 - block) % 64))
        order = np.argsort(turned, kind="stable")
        for lag in range(1, min(NEIGHBOURS, len(bits) - 1) + 1):
            here, there = order[:-lag], order[lag:]
            near = np.bitwise_count(bits[here] ^ bits[there]) <= NEAR_BITS
            found[here[near & train[there]]] = True
            found[there[near & train[here]]] = True
    return found & ~train
