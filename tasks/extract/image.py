"""Images -> 16 tokens, one per patch of a 4 x 4 grid: a small convolutional network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs, convolution, shifted
from tasks.profile.image import Options

GRID = 4
SHIFT = 1 / 16  # of the side


def fit_facts(arrays: Sequence[npt.NDArray[np.uint8]], options: Options) -> dict[str, Any]:
    """Mean and standard deviation of the training pixels, 0 to 255."""
    stack = np.stack(arrays).astype(np.float64)
    return {"mean": float(stack.mean()), "deviation": max(float(stack.std()), 1.0)}


def prepare(array: npt.NDArray[np.uint8], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """Standardised pixels `pixels` float32 [channels, side, side]; 16 tokens without time."""
    pixels = (array.astype(np.float32) - facts["mean"]) / facts["deviation"]
    return {
        "pixels": np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32),
        "mask": np.ones(GRID**2, dtype=bool),
        "time": np.zeros(GRID**2, dtype=np.float32),
    }


def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Move each picture a little up or down, left or right, and add a little noise."""
    pixels = inputs["pixels"]
    most = max(1, round(pixels.shape[-1] * SHIFT))
    pixels = shifted(shifted(pixels, most, -1, generator), most, -2, generator)
    noise = torch.randn(pixels.shape, generator=generator)
    return {**inputs, "pixels": pixels + 0.1 * noise}


class Encoder(nn.Module):
    """Three strided convolutions, then a token per cell of a 4 x 4 grid."""

    def __init__(self, options: Options, facts: Mapping[str, Any], width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(options.channels, 16, 2),
            convolution(16, 32, 2),
            convolution(32, width, 1),
            nn.AdaptiveAvgPool2d(GRID),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """`pixels` float32 [b, channels, side, side] -> tokens float32 [b, 16, width]."""
        return self.dropout(self.layers(inputs["pixels"]).flatten(2).transpose(1, 2))
