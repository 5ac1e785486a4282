"""Images -> 16 tokens, one per patch of a 4 x 4 grid: a small convolutional network."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs, areas, convolution, shifted
from tasks.profile.image import Options

GRID = 4
SHIFT = 1 / 16  # of the side, in training
NOISE = 0.1  # standard deviations, in training


def token_count(options: Options) -> int:
    """One per cell of the grid."""
    return GRID**2


def fit_facts(arrays: Sequence[npt.NDArray[np.uint8]], options: Options) -> dict[str, Any]:
    """Mean and standard deviation of the training pixels, 0 to 255."""
    count, total, squares = (
        sum(of) for of in zip(*map(_sums, arrays), strict=True)
    )  # whole numbers: exact, one image at a time
    variance = (squares * count - total**2) / count**2
    return {"mean": total / count, "deviation": max(math.sqrt(variance), 1.0)}


def _sums(array: npt.NDArray[np.uint8]) -> tuple[int, int, int]:
    """Pixels, their sum and the sum of their squares."""
    return array.size, int(array.sum(dtype=np.int64)), int(np.square(array, dtype=np.int64).sum())


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
    return {**inputs, "pixels": pixels + NOISE * noise}


class Encoder(nn.Module):
    """Three strided convolutions, then a token per cell of a 4 x 4 grid."""

    def __init__(self, options: Options, facts: Mapping[str, Any], width: int, dropout: float) -> None:
        """Make the layers; see the package for the arguments."""
        super().__init__()
        self.layers = nn.Sequential(
            convolution(options.channels, 16, 2),
            convolution(16, 32, 2),
            convolution(32, width, 1),
        )
        side = -(-options.side_px // 4)  # after two strides of 2
        self.register_buffer("areas", torch.from_numpy(areas(side, GRID)), persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """`pixels` float32 [b, channels, side, side] -> tokens float32 [b, 16, width]."""
        cells = self.areas @ self.layers(inputs["pixels"]) @ self.areas.T  # [b, width, 4, 4]
        tokens: Tensor = self.dropout(cells.flatten(2).transpose(1, 2))
        return tokens
