"""Pieces that encoders of several kinds are made of."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

type_of_inputs = dict[str, npt.NDArray[np.generic]]
Inputs = type_of_inputs


def convolution(inside: int, outside: int, stride: int) -> nn.Sequential:
    """3 x 3 convolution, batch normalisation, GELU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


def shifted(values: Tensor, most: int, dim: int, generator: torch.Generator) -> Tensor:
    """Roll each sample of a batch by its own number of steps, -most to most, along one dimension."""
    length = values.shape[dim]
    steps = torch.randint(-most, most + 1, (len(values),), generator=generator)
    index = (torch.arange(length)[None] - steps[:, None]) % length  # [b, length]
    shape = [1] * values.dim()
    shape[0], shape[dim] = len(values), length
    return values.gather(dim, index.view(shape).expand(values.shape))
