"""What `profile` would say of some rows, and which of its columns tell of units and rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.ingest.rows import Content
from tasks.params import Modality
from tasks.profile import decoded, kind_module, measured

DURATION = "duration_s"  # of every kind, beside what it measures; null where it has no time
# What is measured in the data's own unit, or counts what a rate brings; the times of all kinds are such too.
MEASURED_IN_UNITS = {
    "timeseries": ("steps", "mean", "deviation", "lowest", "highest"),
    "volume": ("mean", "deviation"),
    "pointcloud": ("length", "width", "height"),
}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """What was seen of one modality of n rows: measured columns [n], NaN where there is none; by place what cannot be read."""

    values: dict[str, Floats]
    refused: dict[int, str]


def look_at(modality: Modality, contents: Sequence[Content | None]) -> Look:
    """Decode and measure one modality of n rows, None where a row lacks it."""
    kind, options = kind_module(modality.kind), modality.options
    there = [place for place, content in enumerate(contents) if content is not None]
    refused: dict[int, str] = {}
    columns = measured(kind, decoded(kind, [_bytes(contents[place]) for place in there], options, refused), options)
    whole = [place for number, place in enumerate(there) if number not in refused]
    values = {}
    for name in (DURATION, *kind.MEASURES):
        values[f"{modality.name} {name}"] = np.full(len(contents), np.nan)
        values[f"{modality.name} {name}"][whole] = np.array(columns[name], np.float64)  # None becomes NaN
    return Look(values, {there[number]: why for number, why in refused.items()})


def in_units(kinds: Mapping[str, str]) -> set[str]:
    """The columns that another unit or rate would multiply.

    Args:
        kinds: modality -> kind.
    """
    return {f"{m} {name}" for m, kind in kinds.items() for name in (DURATION, *MEASURED_IN_UNITS.get(kind, ()))}


def _bytes(content: Content | None) -> bytes:
    return b"" if content is None else content.data
