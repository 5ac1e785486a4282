"""Moving pictures -> one token per used frame: a network for each frame, then a filter over time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs, grouped, moments, shifted
from tasks.profile.video import Options

SHIFT = 1 / 16  # of the side, in training; the same for all frames of a clip
NOISE = 0.1  # standard deviations, in training
REACH = 3  # frames that the filter sees


def token_count(options: Options) -> int:
    """One per used frame; a short clip uses the first ones."""
    return options.most


def fit_facts(arrays: Sequence[npt.NDArray[np.float32]], options: Options) -> dict[str, Any]:
    """Mean and standard deviation of the training pixels, each clip counted alike, in the frames' unit."""
    return moments(arrays)


def prepare(array: npt.NDArray[np.float32], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """Standardised frames `frames` float32 [t, channels, side, side], 0 behind the last one; `time` is where each is seen."""
    count, side = options.most, options.side_px
    frames = np.zeros((count, options.channels, side, side), dtype=np.float32)
    frames[: len(array)] = ((array - facts["mean"]) / facts["deviation"]).transpose(0, 3, 1, 2)
    return {
        "frames": frames,
        "mask": np.arange(count) < len(array),
        "time": (np.arange(count) / options.rate_hz).astype(np.float32),
    }


def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Move each clip a little up or down, left or right, and add a little noise."""
    frames = inputs["frames"]
    most = max(1, round(frames.shape[-1] * SHIFT))
    frames = shifted(shifted(frames, most, -1, generator), most, -2, generator)
    return {**inputs, "frames": frames + NOISE * torch.randn(frames.shape, generator=generator)}


class Encoder(nn.Module):
    """Three strided convolutions and an average for each frame; what the filter over time finds is added to it."""

    def __init__(self, options: Options, facts: Mapping[str, Any], width: int, dropout: float) -> None:
        """Make the layers; see the package for the arguments."""
        super().__init__()
        self.layers = nn.Sequential(grouped(options.channels, 16, 2, 2), grouped(16, 32, 2, 2), grouped(32, width, 2, 2))
        self.over_time = nn.Conv1d(width, width, REACH, padding=REACH // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """`frames` float32 [b, t, channels, side, side], `mask` bool [b, t] -> tokens float32 [b, t, width]."""
        frames, there = inputs["frames"], inputs["mask"].unsqueeze(-1)
        seen = self.layers(frames.flatten(0, 1)).mean(dim=(-2, -1)).view(*frames.shape[:2], -1)
        seen = torch.where(there, seen, 0.0)  # what stands behind the last frame is not looked at
        moving = self.over_time(seen.transpose(1, 2)).transpose(1, 2).relu()
        tokens: Tensor = self.dropout(seen + moving)
        return tokens
