"""Pieces that encoders of several kinds are made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Inputs = dict[str, npt.NDArray[Any]]  # one prepared sample: arrays of fixed shape, `mask` and `time` among them


def convolution(inside: int, outside: int, stride: int) -> nn.Sequential:
    """3 x 3 convolution, batch normalisation, rectifier: float32 [b, inside, h, w] -> [b, outside, h / stride, w / stride]."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


GROUPS = 4  # of features that are normalised together


def grouped(inside: int, outside: int, stride: int, dims: int) -> nn.Sequential:
    """Convolution of reach 3 in 2 or 3 dimensions, group normalisation, rectifier.

    Wu and He, "Group Normalization", ECCV 2018: no sample sees another.
    """
    convolve = {2: nn.Conv2d, 3: nn.Conv3d}[dims](inside, outside, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolve, nn.GroupNorm(GROUPS if outside % GROUPS == 0 else 1, outside), nn.ReLU(inplace=True))


def moments(arrays: Sequence[npt.NDArray[np.float32]]) -> dict[str, Any]:
    """`mean` and standard `deviation` over all values of training samples, each sample counted alike, in the file's unit."""
    mean = float(np.mean([array.mean(dtype=np.float64) for array in arrays]))
    square = float(np.mean([np.square(array.astype(np.float64) - mean).mean() for array in arrays]))
    return {"mean": mean, "deviation": max(square**0.5, 1e-6)}


def shifted(values: Tensor, most: int, dim: int, generator: torch.Generator) -> Tensor:
    """Roll each sample of a batch by its own number of steps, -most to most, along one dimension."""
    length = values.shape[dim]
    steps = torch.randint(-most, most + 1, (len(values),), generator=generator)
    index = (torch.arange(length) - steps[:, None]) % length  # [b, length]
    shape = [1] * values.dim()
    shape[0], shape[dim] = len(values), length
    return values.gather(dim, index.view(shape).expand(values.shape))


def hidden_stretches(batch: int, length: int, most: int, generator: torch.Generator) -> Tensor:
    """One stretch of 0 to `most` steps per sample, anywhere: bool [batch, length]."""
    widths = torch.randint(0, most + 1, (batch, 1), generator=generator)
    starts = (torch.rand((batch, 1), generator=generator) * (length - widths + 1)).long()
    steps = torch.arange(length)
    return (steps >= starts) & (steps < starts + widths)


def areas(side: int, stretches: int) -> npt.NDArray[np.float32]:
    """Weights float32 [stretches, side] that average a line's places over stretches of equal length.

    A product with them is deterministic on every device; adaptive average pooling has no such gradient on CUDA.
    """
    edges = np.arange(stretches + 1) * side / stretches
    places = np.arange(side)
    shares = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    return np.asarray(np.clip(shares, 0, None) * stretches / side, dtype=np.float32)
