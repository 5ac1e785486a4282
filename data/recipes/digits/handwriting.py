"""A digit as a bad scan: real handwriting, moved, faded, smudged, noisy."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data.recipes.landing import png

SIDE_PX = 16
NOISE = 0.3  # deviation of the strongest noise, in units of the ink's range
SMUDGE_PX = 7  # side of the largest smudge


def scan(source: npt.NDArray[np.float64], rng: np.random.Generator) -> bytes:
    """One degraded picture of a source image.

    Args:
        source: [8, 8], ink from 0 to 16, as scikit-learn bundles it.
        rng: this sample's own generator.

    Returns:
        A grey 16 x 16 PNG.
    """
    level = rng.uniform(0.35, 1)  # how bad this scan is
    ink = ndimage.zoom(source / 16, SIDE_PX / 8, order=1)  # [16, 16]
    ink = ndimage.shift(ink, rng.uniform(-1, 1, size=2), order=1)
    ink = ndimage.gaussian_filter(ink, level * rng.uniform(0, 1.2))
    ink = 0.5 + (ink - 0.5) * rng.uniform(0.5, 1)  # contrast
    height, width = rng.integers(3, SMUDGE_PX + 1, size=2)
    top, left = rng.integers(0, SIDE_PX - height + 1), rng.integers(0, SIDE_PX - width + 1)
    ink[top : top + height, left : left + width] = rng.uniform(0.2, 0.8)
    ink += rng.normal(0, level * NOISE, ink.shape)
    return png(ink).data
