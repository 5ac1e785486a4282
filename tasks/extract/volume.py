"""Volumes -> 8 tokens, one per octant of the cube: a small network of three-dimensional convolutions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs, areas, grouped, moments, shifted
from tasks.profile.volume import Options

GRID = 2
SHIFT = 1 / 16  # of the side, in training
NOISE = 0.1  # standard deviations, in training


def token_count(options: Options) -> int:
    """One per octant."""
    return GRID**3


def fit_facts(arrays: Sequence[npt.NDArray[np.float32]], options: Options) -> dict[str, Any]:
    """Mean and standard deviation of the training voxels, each volume counted alike, in the file's unit."""
    return moments(arrays)


def prepare(array: npt.NDArray[np.float32], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """Standardised voxels `voxels` float32 [1, side, side, side]; 8 tokens without time."""
    return {
        "voxels": ((array.astype(np.float64) - facts["mean"]) / facts["deviation"]).astype(np.float32)[None],
        "mask": np.ones(GRID**3, dtype=bool),
        "time": np.zeros(GRID**3, dtype=np.float32),
    }


def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Move each volume a little along each axis, and add a little noise."""
    voxels = inputs["voxels"]
    most = max(1, round(voxels.shape[-1] * SHIFT))
    for axis in (-1, -2, -3):
        voxels = shifted(voxels, most, axis, generator)
    return {**inputs, "voxels": voxels + NOISE * torch.randn(voxels.shape, generator=generator)}


class Encoder(nn.Module):
    """Three strided convolutions, then a token per octant."""

    def __init__(self, options: Options, facts: Mapping[str, Any], width: int, dropout: float) -> None:
        """Make the layers; see the package for the arguments."""
        super().__init__()
        self.layers = nn.Sequential(grouped(1, 16, 2, 3), grouped(16, 32, 2, 3), grouped(32, width, 1, 3))
        side = -(-options.side // 4)  # after two strides of 2
        self.register_buffer("areas", torch.from_numpy(areas(side, GRID)), persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """`voxels` float32 [b, 1, side, side, side] -> tokens float32 [b, 8, width]."""
        cells = self.areas @ self.layers(inputs["voxels"]) @ self.areas.T  # [b, width, side / 4, 2, 2]
        cells = (cells.movedim(2, -1) @ self.areas.T).movedim(-1, 2)  # [b, width, 2, 2, 2]
        tokens: Tensor = self.dropout(cells.flatten(2).transpose(1, 2))
        return tokens
