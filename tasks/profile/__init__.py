"""Decode and measure one modality: `python -m tasks.profile image` writes data/2_profiles/image/.

A file per kind, found by its name. Each has

    Options                     what params.yaml may say about such a modality, with every default
    MEASURES                    names of the measured columns
    decode(data, options)       bytes -> array; raises ContractBroken with the reason on anything that is not whole
    measure(array, options)     one number per name in MEASURES
    near_hash(array)            64 bits that differ in few places when the content is nearly the same; None: too little to tell
    duration_s(array, options)  seconds, None for a kind that has no time

A kind whose samples are so small that a call for each costs more than the work may also have, giving the same,

    decode_many(items, options)     the arrays of those that are whole, and by place why the others are refused
    measure_many(arrays, options)   for each name in MEASURES a number per array; `near` and `duration_s` are None
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.errors import ContractBroken, WrongValue

# Parsers name the object they read, `<_io.BytesIO object at 0x7fd4c4334270>`: another address each time, in a stage's out.
ADDRESS = re.compile(r" *<[^<>]* at 0x[0-9a-f]+>")


def kind_module(kind: str) -> ModuleType:
    """The module of a kind. Its name has been checked by `tasks.params`."""
    return import_module(f"tasks.profile.{kind}")


def decoded(kind: ModuleType, items: Sequence[bytes], options: Any, refused: dict[int, str]) -> Iterable[npt.NDArray[Any]]:
    """The arrays of those samples that are whole; why the others are not goes into `refused`, by place.

    Where samples may be large, one is decoded when the one before it has been taken.
    """
    if items and hasattr(kind, "decode_many"):
        arrays, reasons = kind.decode_many(items, options)
        refused.update(reasons)
        whole: Iterable[npt.NDArray[Any]] = arrays
        return whole
    return one_by_one(kind.decode, items, options, refused)


def one_by_one(
    decode: Callable[[bytes, Any], npt.NDArray[Any]], items: Sequence[bytes], options: Any, refused: dict[int, str]
) -> Iterator[npt.NDArray[Any]]:
    """As `decoded`, by the function for one."""
    for place, data in enumerate(items):
        try:
            array = decode(data, options)
        except ContractBroken as broken:
            refused[place] = str(broken)
            continue
        yield array


def measured(kind: ModuleType, arrays: Iterable[npt.NDArray[Any]], options: Any) -> dict[str, list[Any]]:
    """Measure several decoded samples, of which no more than GROUP are held where they may be large.

    Returns:
        `near`, `duration_s` and each name in MEASURES: a list of one per array.
    """
    if hasattr(kind, "measure_many") and isinstance(arrays, Sequence | np.ndarray) and len(arrays):
        nothing = [None] * len(arrays)
        return {"near": nothing, "duration_s": [*nothing], **kind.measure_many(arrays, options)}
    rows, waiting = [], iter(arrays)
    while group := list(islice(waiting, GROUP)):
        for array in group:
            fixed = {"near": kind.near_hash(array), "duration_s": kind.duration_s(array, options)}
            rows.append({**fixed, **kind.measure(array, options)})
    return {name: [row[name] for row in rows] for name in ("near", "duration_s", *kind.MEASURES)}


def schema(kind: ModuleType) -> pa.Schema:
    """The columns of a profile: the same for all kinds, then what this kind measures."""
    fixed = {"sample_id": pa.string(), "ok": pa.bool_(), "reason": pa.string(), "sha256": pa.string()}
    numbers = {"near": pa.int64(), "duration_s": pa.float64(), **dict.fromkeys(kind.MEASURES, pa.float64())}
    return pa.schema([*fixed.items(), *numbers.items()])


def require_at_least(options: object, **lowest: int) -> None:
    """Check the range of whole-numbered options.

    Raises:
        WrongValue: one is below its lowest value.
    """
    for name, low in lowest.items():
        value = getattr(options, name)
        if value < low:
            raise WrongValue(f"option {name} must be at least {low}, got {value}")


def require_positive(options: object, *names: str) -> None:
    """Check options that are lengths or rates.

    Raises:
        WrongValue: one is 0, negative or NaN.
    """
    for name in names:
        value = getattr(options, name)
        if not value > 0:
            raise WrongValue(f"option {name} must be above 0, got {value}")


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn whatever a parser raises on broken bytes into a refusal of this one sample.

    Pillow and libsndfile raise a dozen types on hostile input (OSError, SyntaxError, struct.error, MemoryError, warnings
    turned into errors …): a list of them would be a list of those met so far, and one missing would end the night.

    Raises:
        ContractBroken: the block raised anything; its own ContractBroken passes as it is.
    """
    try:
        yield
    except ContractBroken:
        raise
    except Exception as error:
        text = ADDRESS.sub("", " ".join(str(error).split())) or type(error).__name__
        raise ContractBroken(f"not a readable {what}: {text[:200]}") from error


def container(data: bytes) -> str | None:
    """The container of a video, by its first bytes; None when it is none of those that are read.

    Guessing is not left to the library: some formats that it knows name other files.
    """
    if data[4:8] == b"ftyp":
        return "mov"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    return "avi" if data[:4] == b"RIFF" and data[8:12] == b"AVI " else None


GROUP = 16  # samples that are decoded before they are measured: taking turns would empty the processor's caches each time
NPY = b"\x93NUMPY"


def read_npy(data: bytes, check: Callable[[tuple[int, ...]], None]) -> npt.NDArray[np.generic]:
    """An array of plain numbers from the bytes of a `.npy` file; nothing is copied and nothing unpickled.

    Args:
        data: the whole file.
        check: raises ContractBroken for a shape that is not wanted, before anything of its size is made.

    Raises:
        ContractBroken: no such file, objects, or a header that promises another size than is there.
    """
    with refusing(".npy file"):
        file = BytesIO(data)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, columns_first, dtype = read(file)
        if dtype.kind not in "fiub":
            raise ContractBroken(f".npy file of {dtype}; only plain numbers are read")
        there, promised = len(data) - file.tell(), math.prod(shape) * dtype.itemsize
        if promised != there:
            raise ContractBroken(f".npy header promises {promised} bytes (shape {shape}), {there} are there")
        check(shape)
        flat = np.frombuffer(data, dtype=dtype, offset=file.tell())
        return flat.reshape(shape, order="F" if columns_first else "C")


def finite32(array: npt.NDArray[np.generic], what: str, axes: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """An array as contiguous float32.

    Args:
        array: any numbers.
        what: it is called in the message.
        axes: names of its axes there.

    Raises:
        ContractBroken: it holds NaN, infinity or what is too large for float32; says where first.
    """
    with np.errstate(over="ignore"):  # what is too large becomes infinity and is refused below
        plain = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(plain).all():
        place = np.argwhere(~np.isfinite(plain))[0]
        shown = ", ".join(f"{axis} {int(at)}" for axis, at in zip(axes, place, strict=True))
        raise ContractBroken(f"{what} with NaN or infinity, first at {shown}")
    return plain


def coarse_hash(array: npt.NDArray[np.float64]) -> int:
    """Signs of differences between neighbours along the last axis in a 4 x 4 x 5 version of an array of three axes."""
    for axis, count in enumerate((4, 4, 5)):
        parts = np.array_split(array, count, axis=axis)
        array = np.stack([part.mean(axis=axis) for part in parts], axis=axis)
    return signed64((np.diff(array, axis=2) > 0).ravel())


def signed64(bits: npt.NDArray[np.bool_]) -> int:
    """Pack 64 bits into one signed integer, first bit highest, so that Parquet's int64 holds it."""
    return int(np.packbits(bits).view(">i8")[0])
