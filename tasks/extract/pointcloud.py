"""Point clouds -> 8 tokens, one per octant around the centre: shared layers over points, the strongest answer of each octant.

Qi et al., "PointNet: Deep Learning on Point Sets for 3D Classification and Segmentation", CVPR 2017: a function of the set,
whatever the order of its points.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs
from tasks.profile.pointcloud import Options

OCTANTS = 8
NOTHING = -1  # the octant of no point
HIDDEN = 64
NOISE = 0.02  # of the training clouds' spread, in training
CLIP = 10.0  # standard deviations


def token_count(options: Options) -> int:
    """One per octant."""
    return OCTANTS


def fit_facts(arrays: Sequence[npt.NDArray[np.float32]], options: Options) -> dict[str, Any]:
    """Spread of points around their cloud's centre, and mean and deviation of every column, each cloud counted alike."""

    def clouds() -> Iterator[npt.NDArray[np.float64]]:  # one at a time: all of them would take twice what they take as they are
        return (array.astype(np.float64) for array in arrays)

    spread = np.mean([np.var(cloud[:, :3] - _centre(cloud), axis=0).sum() for cloud in clouds()]) ** 0.5
    mean = np.mean([cloud.mean(axis=0) for cloud in clouds()], axis=0)
    deviation = np.mean([((cloud - mean) ** 2).mean(axis=0) for cloud in clouds()], axis=0) ** 0.5
    return {
        "spread": max(float(spread), 1e-6),
        "mean": mean.tolist(),
        "deviation": np.maximum(deviation, 1e-6).tolist(),
    }


def _centre(cloud: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(cloud[:, :3].mean(axis=0))


def prepare(array: npt.NDArray[np.float32], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """`points` float32 [used, 6 + fields], `octant` int64 [used] (-1: no point); 8 tokens without time.

    A point is its place from the cloud's centre, its place in the world, and its fields, each standardised. `decode` sorts
    points, so that thinning them out evenly does not depend on the order in which they were written.
    """
    cloud = array.astype(np.float64)
    if len(cloud) > options.used_points:
        cloud = cloud[np.linspace(0, len(cloud) - 1, options.used_points).round().astype(int)]
    around = (cloud[:, :3] - _centre(array.astype(np.float64))) / facts["spread"]
    world = (cloud - np.array(facts["mean"])) / np.array(facts["deviation"])
    points = np.zeros((options.used_points, 6 + len(options.fields)), dtype=np.float32)
    points[: len(cloud)] = np.clip(np.concatenate([around, world], axis=1), -CLIP, CLIP)
    octant = np.full(options.used_points, NOTHING, dtype=np.int64)
    octant[: len(cloud)] = (around > 0) @ np.array([4, 2, 1])
    return {
        "points": points,
        "octant": octant,
        "mask": np.ones(OCTANTS, dtype=bool),  # that nothing is there says something, too
        "time": np.zeros(OCTANTS, dtype=np.float32),
    }


def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Move every point a little."""
    points = inputs["points"]
    return {**inputs, "points": points + NOISE * torch.randn(points.shape, generator=generator)}


class Encoder(nn.Module):
    """Two layers for each point, the largest value of each feature in each octant, and a layer that also sees the whole."""

    def __init__(self, options: Options, facts: Mapping[str, Any], width: int, dropout: float) -> None:
        """Make the layers; see the package for the arguments."""
        super().__init__()
        self.each = nn.Sequential(
            nn.Linear(6 + len(options.fields), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * HIDDEN), nn.ReLU()
        )
        self.join = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * HIDDEN, width))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """`points` float32 [b, n, c], `octant` int64 [b, n] -> tokens float32 [b, 8, width]."""
        seen, octant = self.each(inputs["points"]), inputs["octant"].unsqueeze(-1)  # [b, n, f], at least 0; [b, n, 1]
        # One octant after the other: all at once would fill so much memory that this costs more than the layers.
        parts = torch.stack([torch.where(octant == number, seen, 0.0).amax(dim=1) for number in range(OCTANTS)], dim=1)
        whole = parts.amax(dim=1, keepdim=True).expand_as(parts)
        tokens: Tensor = self.join(torch.cat([parts, whole], dim=-1))
        return tokens
