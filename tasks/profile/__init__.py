"""Decode and measure one modality: `python -m tasks.profile image` writes data/2_profiles/image/.

A file per kind, found by its name. Each has

    Options                     what params.yaml may say about such a modality, with every default
    MEASURES                    names of the measured columns
    decode(data, options)       bytes -> array; raises ContractBroken with the reason on anything that is not whole
    measure(array, options)     one number per name in MEASURES
    near_hash(array)            64 bits that differ in few places when the content is nearly the same; None: too little to tell
    duration_s(array, options)  seconds, None for a kind that has no time
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.errors import ContractBroken, WrongValue

# Parsers name the object they read, `<_io.BytesIO object at 0x7fd4c4334270>`: another address each time, in a stage's out.
ADDRESS = re.compile(r" *<[^<>]* at 0x[0-9a-f]+>")


def kind_module(kind: str) -> ModuleType:
    """The module of a kind. Its name has been checked by `tasks.params`."""
    return import_module(f"tasks.profile.{kind}")


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


def signed64(bits: npt.NDArray[np.bool_]) -> int:
    """Pack 64 bits into one signed integer, first bit highest, so that Parquet's int64 holds it."""
    return int(np.packbits(bits).view(">i8")[0])
