"""Pictures: cells of a grid; one that is hidden has the picture's mean colour."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.damage.image import Pixels
from tasks.explain import cells
from tasks.explain.tints import over

GRID = 6


def parts(pixels: Pixels) -> int:
    """Cells."""
    return GRID**2


def hidden(pixels: Pixels, gone: npt.NDArray[np.bool_], facts: Mapping[str, Any]) -> Pixels:
    """Cells in one colour."""
    mean = np.rint(pixels.mean(axis=(0, 1))).astype(np.uint8)
    return np.where(gone[cells(pixels.shape[:2], (GRID, GRID))][..., None], mean, pixels)


def draw(axes: Any, pixels: Pixels, tint: npt.NDArray[np.float64]) -> None:
    """The picture in grey, cells tinted over it."""
    over(axes, pixels.mean(axis=2), tint.reshape(GRID, GRID))
