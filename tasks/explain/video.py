"""Moving pictures: cells of a grid over stretches of time; one that is hidden is the clip's mean."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.damage.video import Clip
from tasks.explain import cells
from tasks.explain.tints import over

STRETCHES, GRID = 4, 4


def _counts(clip: Clip) -> tuple[int, int, int]:
    return min(STRETCHES, len(clip.frames)), GRID, GRID


def parts(clip: Clip) -> int:
    """Cells by stretches."""
    return int(np.prod(_counts(clip)))


def hidden(clip: Clip, gone: npt.NDArray[np.bool_], facts: Mapping[str, Any]) -> Clip:
    """Cells in one colour."""
    mean = clip.frames.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
    return replace(clip, frames=np.where(gone[cells(clip.frames.shape[:3], _counts(clip))][..., None], mean, clip.frames))


def draw(axes: Any, clip: Clip, tint: npt.NDArray[np.float64]) -> None:
    """The frame in the middle of each stretch, side by side, cells tinted over them."""
    stretches = _counts(clip)[0]
    middle = ((np.arange(stretches) + 0.5) * len(clip.frames) / stretches).astype(int)
    over(
        axes,
        np.hstack(list(clip.frames[middle].mean(axis=3))),
        np.hstack(list(tint.reshape(stretches, GRID, GRID))),
    )
