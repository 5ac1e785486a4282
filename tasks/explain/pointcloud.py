"""Point clouds: blocks of the space that the cloud takes; points of one that is hidden are left out, one always stays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.damage.pointcloud import Cloud
from tasks.explain.tints import COLOURS

BLOCKS = 4  # along each axis
DRAWN = 3000  # points


def _part(cloud: Cloud) -> npt.NDArray[np.int64]:
    """Int64 [n], blocks without points left out."""
    places = cloud[:, :3].astype(np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    block = np.minimum((places - low) / np.maximum(high - low, 1e-12) * BLOCKS, BLOCKS - 1).astype(np.int64)
    return np.unique(block @ np.array([BLOCKS**2, BLOCKS, 1]), return_inverse=True)[1].astype(np.int64)


def parts(cloud: Cloud) -> int:
    """Blocks with points."""
    return int(_part(cloud).max()) + 1


def hidden(cloud: Cloud, gone: npt.NDArray[np.bool_], facts: Mapping[str, Any]) -> Cloud:
    """Points left out."""
    kept = ~gone[_part(cloud)]
    kept[0] |= not kept.any()
    return cloud[kept]


def draw(axes: Any, cloud: Cloud, tint: npt.NDArray[np.float64]) -> None:
    """From above, points tinted."""
    shown = np.linspace(0, len(cloud) - 1, min(len(cloud), DRAWN)).round().astype(int)
    worth = tint[_part(cloud)][shown]
    axes.scatter(cloud[shown, 0], cloud[shown, 1], s=3, c=COLOURS((worth + 1) / 2), edgecolors="#00000055", linewidths=0.2)
    axes.set(aspect="equal", xticks=[], yticks=[])
