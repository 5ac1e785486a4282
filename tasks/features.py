"""Token features of samples, and the safetensors files that hold those of one raw partition."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken, NoData
from tasks.files import write_bytes

CHECKED = 1024  # rows looked at together: memory stays flat


@dataclass(frozen=True)
class Features:
    """Token features of the rows of one partition.

    Attributes:
        tokens: float32 [n, t, d], finite where the mask is on, no unit.
        mask: bool [n, t], all off where the row could not be decoded.
        time: float32 [n, t], seconds from the sample's start (0 where the kind has no time).
    """

    tokens: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    time: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse other shapes and values than promised."""
        if self.tokens.ndim != 3 or self.mask.shape != self.tokens.shape[:2] or self.time.shape != self.mask.shape:
            raise ContractBroken(
                f"features must be tokens [n, t, d], mask [n, t], time [n, t];"
                f" got {self.tokens.shape}, {self.mask.shape}, {self.time.shape}"
            )
        for at in range(0, len(self.mask), CHECKED):
            part = slice(at, at + CHECKED)
            if not np.isfinite(self.tokens[part][self.mask[part]]).all():
                raise ContractBroken("features hold NaN or infinity where the mask is on")


def joined(parts: Sequence[Features]) -> Features:
    """Features of consecutive rows as those of all of them."""
    return Features(
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.mask for part in parts]),
        np.concatenate([part.time for part in parts]),
    )


def write_features(path: Path, features: Features, raw: str, samples: Sequence[str]) -> None:
    """Write features as safetensors.

    Args:
        path: the file.
        features: of n rows.
        raw: md5 of the raw partition that they come from.
        samples: the rows' n sample ids.
    """
    write_bytes(path, _features_content(features, raw, samples))


def _features_content(features: Features, raw: str, samples: Sequence[str]) -> bytes:
    """A file of features; what stands where the mask is off becomes 0, so that bytes do not depend on it."""
    from safetensors.numpy import save

    off = ~features.mask
    tokens, time = features.tokens.astype(np.float32), features.time.astype(np.float32)  # copies
    tokens[off], time[off] = 0, 0
    content = save({"tokens": tokens, "mask": features.mask, "time": time})
    size = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    # Spliced in here, for the library writes metadata in another order each time.
    ids = json.dumps(list(samples))
    about = {"raw": raw, "sample_id": ids, "sha256": hashlib.sha256(ids.encode() + body).hexdigest()}
    text = json.dumps({"__metadata__": about, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, body])


def read_features(path: Path) -> Features:
    """Read what `write_features` wrote.

    Raises:
        NoData: the file is absent.
        ContractBroken: it is damaged.
    """
    with opened_features(path) as file:
        return Features(file.get_tensor("tokens"), file.get_tensor("mask").astype(bool), file.get_tensor("time"))


def read_sample_ids(path: Path) -> list[str]:
    """The sample ids of a file of features, row by row; errors as in `read_features`."""
    with opened_features(path) as file:
        ids: list[str] = json.loads(file.metadata()["sample_id"])
    return ids


@contextmanager
def opened_features(path: Path) -> Iterator[Any]:
    """Give a file of features as the library's `safe_open` does: its header is read, its tensors are when asked for.

    Raises:
        NoData: the file is absent.
        ContractBroken: it is damaged; also when the block finds that.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro` the stage that makes it")
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ContractBroken(f"{path} is no file of features, or damaged ({error}): delete it, `dvc pull` it") from error


def check_features(path: Path, raw: str, rows: int, shape: tuple[int, int]) -> None:
    """Hold a file of features against the raw partition that it should come from.

    Args:
        path: the file.
        raw: md5 of that partition.
        rows: how many it has.
        shape: tokens per sample and features per token.

    Raises:
        ContractBroken: the file is damaged, or those of another partition or encoder.
    """
    features, samples = read_features(path), read_sample_ids(path)
    fits = features.tokens.shape == (rows, *shape) and len(samples) == rows
    if not fits or _features_content(features, raw, samples) != path.read_bytes():
        raise ContractBroken(f"{path} is damaged, or holds features of other rows or of another encoder")
