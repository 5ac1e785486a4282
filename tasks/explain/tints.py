"""How strongly a part speaks, as a colour: red for the answer, blue against it."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap, to_rgb

from tasks.evaluate.pictures import PLAIN, SELECTED

COLOURS = LinearSegmentedColormap.from_list("against, for", [PLAIN, "#ffffff", SELECTED])
STRONGEST = 0.75  # how much of what lies below a tint covers at most

Array = npt.NDArray[np.float64]


def colour(tint: float) -> tuple[float, float, float]:
    """Of a word or a bar, -1 … 1."""
    return to_rgb(COLOURS((tint + 1) / 2))


def over(axes: Any, grey: npt.NDArray[Any], tint: Array) -> None:
    """Draw a grey map [h, w], cells [rows, columns] of tints over it."""
    axes.imshow(grey, cmap="gray", aspect="auto", interpolation="nearest")
    extent = (-0.5, grey.shape[1] - 0.5, grey.shape[0] - 0.5, -0.5)
    shown = COLOURS((tint + 1) / 2)
    shown[..., 3] = STRONGEST * np.abs(tint)
    axes.imshow(shown, extent=extent, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
