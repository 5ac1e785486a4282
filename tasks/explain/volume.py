"""Volumes: blocks; one that is hidden holds nothing but the volume's lowest value."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.damage.volume import Cube
from tasks.explain import cells
from tasks.explain.tints import over

BLOCKS = 4  # along each axis


def parts(cube: Cube) -> int:
    """Blocks."""
    return BLOCKS**3


def hidden(cube: Cube, gone: npt.NDArray[np.bool_], facts: Mapping[str, Any]) -> Cube:
    """Blocks emptied."""
    return replace(cube, voxels=np.where(gone[cells(cube.voxels.shape, (BLOCKS,) * 3)], cube.voxels.min(), cube.voxels))


def draw(axes: Any, cube: Cube, tint: npt.NDArray[np.float64]) -> None:
    """The slice in the middle of each row of blocks, side by side, blocks tinted over them."""
    middle = ((np.arange(BLOCKS) + 0.5) * len(cube.voxels) / BLOCKS).astype(int)
    over(axes, np.hstack(list(cube.voxels[middle])), np.hstack(list(tint.reshape((BLOCKS,) * 3))))
