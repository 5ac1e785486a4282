"""Sounds: cells of the spectrogram; one that is hidden is as loud as the sound's moments and bands are in the median."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.damage.audio import Sound
from tasks.explain.tints import over

MOMENTS, BANDS = 8, 6
WINDOW_S = 0.032
LOWEST_HZ = 100.0  # of a band's upper end: what lies below is the first band's
FLOOR_DB = 60.0  # below the loudest: drawn black


@dataclass(frozen=True)
class Spectrum:
    """A sound as it is over time and frequency.

    Attributes:
        values: complex128 [channels, bins, frames].
        part: int64 [bins, frames].
        bins_hz: float64 [bins].
        window: float64 [samples], of which a quarter lies between one frame and the next.
    """

    values: Tensor
    part: npt.NDArray[np.int64]
    bins_hz: npt.NDArray[np.float64]
    window: Tensor


def parts(sound: Sound) -> int:
    """Cells, moments by bands."""
    return MOMENTS * BANDS


def hidden(sound: Sound, gone: npt.NDArray[np.bool_], facts: Mapping[str, Any]) -> Sound:
    """Cells at the median loudness of all the sound, each phase as it was."""
    found = _spectrum(sound)
    loud = found.values.abs()
    level = loud.flatten(1).median(dim=1).values[:, None, None]
    flat = found.values / torch.where(loud > 0, loud, 1.0) * level
    values = torch.where(torch.from_numpy(gone[found.part]), flat, found.values)
    size = len(found.window)
    frames = torch.istft(values, size, size // 4, window=found.window, length=max(len(sound.frames), size))
    return replace(sound, frames=frames.T[: len(sound.frames)].numpy().astype(np.float32))


def draw(axes: Any, sound: Sound, tint: npt.NDArray[np.float64]) -> None:
    """The spectrogram, low frequencies below, cells tinted over it."""
    found = _spectrum(sound)
    power = found.values.abs().square().mean(dim=0).numpy()
    lines = _even(power, found.bins_hz)
    level = 10 * np.log10(np.maximum(lines, 1e-20))
    over(axes, np.maximum(level, level.max() - FLOOR_DB)[::-1], tint.reshape(MOMENTS, BANDS).T[::-1])
    axes.set_xlabel(f"{len(sound.frames) / sound.rate_hz:.2g} s, to {sound.rate_hz / 2000:.3g} kHz", fontsize=7)


def _spectrum(sound: Sound) -> Spectrum:
    size = max(8, min(round(WINDOW_S * sound.rate_hz), len(sound.frames)) // 4 * 4)
    frames = torch.from_numpy(sound.frames.T.astype(np.float64))
    padded = nn.functional.pad(frames, (0, max(0, size - frames.shape[1])))
    window = torch.hann_window(size, dtype=torch.float64)
    values = torch.stft(padded, size, size // 4, window=window, pad_mode="constant", return_complex=True)
    bins_hz = np.asarray(np.fft.rfftfreq(size, 1 / sound.rate_hz), np.float64)
    moment = np.arange(values.shape[2]) * MOMENTS // values.shape[2]
    return Spectrum(values, moment[None] * BANDS + _bands(bins_hz, sound.rate_hz)[:, None], bins_hz, window)


def _bands(bins_hz: npt.NDArray[np.float64], rate_hz: int) -> npt.NDArray[np.int64]:
    """The band of each bin: edges are evenly spaced on the mel scale (O'Shaughnessy 1987), as ears have them."""
    edges = np.linspace(_mel(LOWEST_HZ), _mel(rate_hz / 2), BANDS + 1)[1:-1]
    return np.asarray(np.searchsorted(edges, _mel(bins_hz)), np.int64)


def _mel(hz: Any) -> Any:
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def _even(power: npt.NDArray[np.float64], bins_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Lines evenly spaced on the mel scale, as the bands are."""
    lines = np.linspace(_mel(LOWEST_HZ), _mel(bins_hz[-1]), 48)
    return np.asarray(power[np.abs(_mel(bins_hz)[:, None] - lines).argmin(axis=0)])
