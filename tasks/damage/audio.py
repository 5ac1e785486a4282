"""Sounds: hiss, an overdriven microphone, stretches that are lost, a wall between."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.profile.audio import Options, opened

QUIET_DB, LOUD_DB = 30.0, -10.0  # signal to noise, hardly any and most
DRIVE_DB = 40.0  # by which a sound is too loud
PARTS, LOST = 20, 0.8  # that a clip is cut into; share of them that are lost
LOWEST_HZ = 200.0  # what passes at last
FLOAT = 3  # wFormatTag

Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """The frames that are used, float32 [n, channels], and their rate."""

    frames: Frames
    rate_hz: int


def read(data: bytes, options: Options, facts: Mapping[str, Any]) -> Sound:
    """At the file's own rate."""
    return Sound(*opened(data, options))


def write(sound: Sound) -> bytes:
    """WAV of 32-bit floats; libsndfile would write the time of day into it."""
    body, channels = sound.frames.astype("<f4").tobytes(), sound.frames.shape[1]
    form = struct.pack("<2H2I2H", FLOAT, channels, sound.rate_hz, sound.rate_hz * channels * 4, channels * 4, 32)
    head = struct.pack("<4sI4s4sI", b"RIFF", 28 + len(form) + len(body) - 8, b"WAVE", b"fmt ", len(form))
    return head + form + struct.pack("<4sI", b"data", len(body)) + body


def noise(sound: Sound, level: float, rng: np.random.Generator) -> Sound:
    """White noise, from 30 dB below the sound's own power to 10 dB above it."""
    power = float(np.mean(np.square(sound.frames, dtype=np.float64)))
    ratio_db = QUIET_DB + (LOUD_DB - QUIET_DB) * level
    hiss = np.float32(np.sqrt(power) * 10 ** (-ratio_db / 20)) * rng.standard_normal(sound.frames.shape, np.float32)
    return replace(sound, frames=sound.frames + hiss)


def clipping(sound: Sound, level: float, rng: np.random.Generator) -> Sound:
    """Louder by up to 40 dB, and cut at the peak that it had."""
    peak = np.abs(sound.frames).max()
    return replace(sound, frames=np.clip(sound.frames * np.float32(10 ** (DRIVE_DB * level / 20)), -peak, peak))


def dropouts(sound: Sound, level: float, rng: np.random.Generator) -> Sound:
    """Silence in up to 4 of 5 parts."""
    part = np.arange(len(sound.frames)) * PARTS // len(sound.frames)
    lost = rng.permutation(PARTS)[: round(LOST * level * PARTS)]
    return replace(sound, frames=np.where(np.isin(part, lost)[:, None], np.float32(0), sound.frames))


def muffled(sound: Sound, level: float, rng: np.random.Generator) -> Sound:
    """Without what lies above a frequency, which falls from the highest of the file to 200 Hz."""
    highest = sound.rate_hz / 2
    cut = highest ** (1 - level) * min(LOWEST_HZ, highest) ** level
    bands = np.fft.rfft(sound.frames, axis=0)
    bands[np.fft.rfftfreq(len(sound.frames), 1 / sound.rate_hz) > cut] = 0
    return replace(sound, frames=np.fft.irfft(bands, len(sound.frames), axis=0).astype(np.float32))


CORRUPTIONS: Mapping[str, Callable[[Sound, float, np.random.Generator], Sound]] = {
    "noise": noise,
    "clipping": clipping,
    "dropouts": dropouts,
    "muffled": muffled,
}
