"""Volumes: noise, slices that are lost, blur.

They are damaged as the encoder's input, the cube: noise in finer voxels would be gone by the time it is averaged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.profile.volume import Options, decode

NOISE = 0.4  # standard deviation, of the range from the volume's lowest to its highest value
LOST = 0.8  # share of the slices
BLUR = 0.12  # standard deviation of the blur, of the side

Voxels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Cube:
    """Voxels float32 [side, side, side], and mm from one to the next."""

    voxels: Voxels
    step_mm: float


def read(data: bytes, options: Options, facts: Mapping[str, Any]) -> Cube:
    """The cube that is used; without `extent_mm` its size does not matter."""
    return Cube(decode(data, options), (options.extent_mm or options.side) / options.side)


def write(cube: Cube) -> bytes:
    """NIfTI, which tells its size."""
    import nibabel

    turned = cube.voxels.transpose(2, 1, 0)  # right, anterior, superior
    found: bytes = nibabel.Nifti1Image(turned, np.diag([cube.step_mm] * 3 + [1.0])).to_bytes()
    return found


def noise(cube: Cube, level: float, rng: np.random.Generator) -> Cube:
    """Gaussian noise."""
    size = np.float32(NOISE * level * float(np.ptp(cube.voxels)))
    return replace(cube, voxels=cube.voxels + size * rng.standard_normal(cube.voxels.shape, np.float32))


def lost(cube: Cube, level: float, rng: np.random.Generator) -> Cube:
    """Slices that hold nothing but the volume's lowest value."""
    gone = rng.random(len(cube.voxels)) < LOST * level
    return replace(cube, voxels=np.where(gone[:, None, None], cube.voxels.min(), cube.voxels))


def blur(cube: Cube, level: float, rng: np.random.Generator) -> Cube:
    """As of a patient who moved."""
    from scipy.ndimage import gaussian_filter

    return replace(cube, voxels=gaussian_filter(cube.voxels, BLUR * level * len(cube.voxels)))


CORRUPTIONS: Mapping[str, Callable[[Cube, float, np.random.Generator], Cube]] = {"noise": noise, "lost": lost, "blur": blur}
