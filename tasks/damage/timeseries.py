"""Series: jitter, stretches that are lost, fewer readings, a gain that drifts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.profile.timeseries import Options, decode

JITTER = 2.0  # standard deviations of each channel, over training steps
PARTS, LOST = 20, 0.8  # that a series is cut into; share of them that are lost
FEWEST = 16  # steps of which at last one is left
DRIFT = 4.0  # times, at the end


@dataclass(frozen=True)
class Series:
    """A series float32 [t, channels] in its own units, and each channel's standard deviation among training steps."""

    values: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]


def read(data: bytes, options: Options, facts: Mapping[str, Any]) -> Series:
    """As it is in the file."""
    return Series(decode(data, options), np.array(facts["scale"], np.float32))


def write(series: Series) -> bytes:
    """The bytes of a `.npy` file."""
    file = BytesIO()
    np.save(file, series.values)
    return file.getvalue()


def jitter(series: Series, level: float, rng: np.random.Generator) -> Series:
    """Gaussian noise in each channel's own measure."""
    off = JITTER * level * series.scale * rng.standard_normal(series.values.shape, np.float32)
    return replace(series, values=series.values + off.astype(np.float32))


def dropouts(series: Series, level: float, rng: np.random.Generator) -> Series:
    """The series' mean in up to 4 of 5 parts."""
    part = np.arange(len(series.values)) * PARTS // len(series.values)
    gone = np.isin(part, rng.permutation(PARTS)[: round(LOST * level * PARTS)])[:, None]
    mean = series.values.mean(axis=0, dtype=np.float64).astype(np.float32)
    return replace(series, values=np.where(gone, mean, series.values))


def sparse(series: Series, level: float, rng: np.random.Generator) -> Series:
    """Every second step, fourth … sixteenth: the others repeat the last one that was read."""
    every = round(FEWEST**level)
    return replace(series, values=series.values[np.arange(len(series.values)) // every * every])


def drift(series: Series, level: float, rng: np.random.Generator) -> Series:
    """A gain that becomes up to four times what it was, or a fourth, by the end."""
    power = level * np.log(DRIFT) * rng.choice((-1.0, 1.0)) * np.linspace(0, 1, len(series.values))
    return replace(series, values=(series.values * np.exp(power)[:, None]).astype(np.float32))


CORRUPTIONS: Mapping[str, Callable[[Series, float, np.random.Generator], Series]] = {
    "jitter": jitter,
    "dropouts": dropouts,
    "sparse": sparse,
    "drift": drift,
}
