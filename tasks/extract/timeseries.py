"""Series -> up to 8 tokens, one per half-overlapping segment: a spectral branch and a temporal one, added up.

The spectral branch sees what a segment's channels are in the mean, how much they move, and in which frequency bands: on
vibration, a network that has to find this in the samples by itself does much worse. The temporal branch sees the shape.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs
from tasks.profile.timeseries import Options

MOST_TOKENS = 8
SHORTEST = 16  # steps of a segment, if the series has that many
POINTS = 64  # that a segment is resampled to for the temporal branch
HIDDEN, FILTERS = 64, 16
CLIP = 5.0  # standard deviations
NOISE = 0.2  # added to statistics in training, standard deviations
POWER_FLOOR, DEVIATION_FLOOR = 1e-8, 1e-6  # in the squared unit of the file, and its unit


def segments(array: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Cut a series [t, c] into 1 to 8 half-overlapping segments of one length: int64 [k] starts, float64 [k, length, c]."""
    steps = len(array)
    count = min(MOST_TOKENS, max(1, 2 * steps // SHORTEST - 1))
    length = max(1, 2 * steps // (count + 1))
    starts = np.linspace(0, steps - length, count).round().astype(np.int64)
    return starts, array[starts[:, None] + np.arange(length)].astype(np.float64)


def statistics(pieces: npt.NDArray[np.float64], bands: int) -> npt.NDArray[np.float64]:
    """What the spectral branch sees of segments [k, length, c].

    Returns:
        float64 [k, (2 + bands) * c]: means, logarithms of the standard deviations, then band by band the logarithm of the
        mean power (Hann window, mean taken off); bands split 0 to rate / 2 evenly.
    """
    length = pieces.shape[1]
    mean = pieces.mean(axis=1, keepdims=True)
    moving = pieces - mean
    size = max(length, 4 * bands)  # a short segment is padded: every band has at least a bin
    window = np.hanning(length + 2)[1:-1, None]
    power = np.abs(np.fft.rfft(moving * window, size, axis=1))[:, 1:] ** 2 / length  # [k, size / 2, c]
    starts = (np.arange(bands) * power.shape[1]) // bands
    widths = np.diff([*starts, power.shape[1]])
    energies = np.log(np.add.reduceat(power, starts, axis=1) / widths[:, None] + POWER_FLOOR)
    spread = np.log(moving.std(axis=1) + DEVIATION_FLOOR)
    return np.concatenate([mean[:, 0], spread, energies.reshape(len(pieces), -1)], axis=1)


def token_count(options: Options) -> int:
    """One per segment; a short series uses the first ones."""
    return MOST_TOKENS


def fit_facts(arrays: Sequence[npt.NDArray[np.float32]], options: Options) -> dict[str, Any]:
    """Mean and deviation of the statistics over training segments, and of each channel over training steps."""
    seen = np.concatenate([statistics(segments(array)[1], options.bands) for array in arrays])
    steps = np.concatenate(arrays).astype(np.float64)
    return {
        "mean": seen.mean(axis=0).tolist(),
        "deviation": np.maximum(seen.std(axis=0), 1e-6).tolist(),
        "centre": steps.mean(axis=0).tolist(),
        "scale": np.maximum(steps.std(axis=0), DEVIATION_FLOOR).tolist(),
    }


def prepare(array: npt.NDArray[np.float32], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """`statistics` float32 [8, n] and `shape` float32 [8, channels, 64], standardised; `time` is where a segment starts."""
    starts, pieces = segments(array)
    count = len(starts)
    seen = np.zeros((MOST_TOKENS, len(facts["mean"])), dtype=np.float32)
    shape = np.zeros((MOST_TOKENS, options.channels, POINTS), dtype=np.float32)
    time = np.zeros(MOST_TOKENS, dtype=np.float32)
    seen[:count] = _standard(statistics(pieces, options.bands), facts["mean"], facts["deviation"])
    shape[:count] = _standard(_resampled(pieces), facts["centre"], facts["scale"]).transpose(0, 2, 1)
    time[:count] = starts / options.rate_hz
    return {"statistics": seen, "shape": shape, "mask": np.arange(MOST_TOKENS) < count, "time": time}


def _standard(values: npt.NDArray[np.float64], mean: Sequence[float], deviation: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.asarray(np.clip((values - np.array(mean)) / np.array(deviation), -CLIP, CLIP))


def _resampled(pieces: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Segments [k, length, c] at 64 evenly spaced points [k, 64, c], straight lines in between."""
    places = np.linspace(0, pieces.shape[1] - 1, POINTS)
    before = np.floor(places).astype(int)
    after = np.minimum(before + 1, pieces.shape[1] - 1)
    share = (places - before)[:, None]
    return np.asarray(pieces[:, before] * (1 - share) + pieces[:, after] * share)


def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Add a little noise to the statistics."""
    seen = inputs["statistics"]
    return {**inputs, "statistics": seen + NOISE * torch.randn(seen.shape, generator=generator)}


class Encoder(nn.Module):
    """Statistics by a straight and by a bent way (He et al. 2016, residual), the shape by three strided convolutions."""

    def __init__(self, options: Options, facts: Mapping[str, Any], width: int, dropout: float) -> None:
        """Make the layers; see the package for the arguments."""
        super().__init__()
        inside = len(facts["mean"])
        self.straight = nn.Linear(inside, width)
        self.bent = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(inside, HIDDEN), nn.ReLU(), nn.Dropout(dropout), nn.Linear(HIDDEN, width)
        )
        widths = [options.channels, FILTERS, FILTERS, 2 * FILTERS]
        layers = [
            layer for inner, outer in pairwise(widths) for layer in (nn.Conv1d(inner, outer, 5, stride=2, padding=2), nn.ReLU())
        ]
        self.shape = nn.Sequential(*layers)
        self.join = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * FILTERS, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """`statistics` float32 [b, t, n], `shape` float32 [b, t, channels, 64] -> tokens float32 [b, t, width]."""
        seen, shape = inputs["statistics"], inputs["shape"]
        drawn = self.join(self.shape(shape.flatten(0, 1)).mean(dim=-1)).view(*shape.shape[:2], -1)
        tokens: Tensor = self.dropout(self.straight(seen) + self.bent(seen) + drawn)
        return tokens
