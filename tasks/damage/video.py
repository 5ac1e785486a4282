"""Moving pictures: frames that are lost, out of focus, noise.

They are damaged as the encoder's input: no codec writes frames back without loss, and of those in between it sees nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.profile.video import Options, decode

LOST = 0.9  # share of the frames
BLUR = 0.12  # standard deviation of the blur, of the side
NOISE = 0.4  # standard deviation, of the range from the clip's lowest to its highest value

Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """The frames that are used, float32 [t, side, side, channels]."""

    frames: Frames
    options: Options


def read(data: bytes, options: Options, facts: Mapping[str, Any]) -> Clip:
    """The frames that are used."""
    return Clip(decode(data, options), options)


def write(clip: Clip) -> bytes:
    """The bytes of a `.npy` file that shows each frame when it was seen; at least as fast as frames are used, without loss."""
    options, count = clip.options, len(clip.frames)
    begins = np.floor(np.arange(count) / options.rate_hz * options.npy_rate_hz + 1e-6).astype(int)
    shown = np.searchsorted(begins, np.arange(begins[-1] + 1), "right") - 1
    file = BytesIO()
    np.save(file, clip.frames[shown])
    return file.getvalue()


def lost(clip: Clip, level: float, rng: np.random.Generator) -> Clip:
    """Frames that are not there: the one before stays."""
    kept = rng.random(len(clip.frames)) >= LOST * level
    kept[0] = True
    return replace(clip, frames=clip.frames[np.maximum.accumulate(np.where(kept, np.arange(len(kept)), 0))])


def blur(clip: Clip, level: float, rng: np.random.Generator) -> Clip:
    """Out of focus."""
    from scipy.ndimage import gaussian_filter

    spread = BLUR * level * clip.options.side_px
    return replace(clip, frames=gaussian_filter(clip.frames, (0, spread, spread, 0)))


def noise(clip: Clip, level: float, rng: np.random.Generator) -> Clip:
    """Gaussian noise."""
    size = np.float32(NOISE * level * float(np.ptp(clip.frames)))
    return replace(clip, frames=clip.frames + size * rng.standard_normal(clip.frames.shape, np.float32))


CORRUPTIONS: Mapping[str, Callable[[Clip, float, np.random.Generator], Clip]] = {"lost": lost, "blur": blur, "noise": noise}
