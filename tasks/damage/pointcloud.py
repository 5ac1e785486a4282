"""Point clouds: jitter, points without a return, a part that something stands before."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.profile.pointcloud import Options, decode

JITTER = 0.3  # standard deviation, of the points' mean distance from their middle
LOST = 0.95  # share of the points
HIDDEN = 0.8  # share of the points

Cloud = npt.NDArray[np.float32]  # [n, 3 + fields]


def read(data: bytes, options: Options, facts: Mapping[str, Any]) -> Cloud:
    """All points of the file, sorted."""
    return decode(data, options)


def write(cloud: Cloud) -> bytes:
    """The bytes of a `.npy` file."""
    file = BytesIO()
    np.save(file, cloud)
    return file.getvalue()


def jitter(cloud: Cloud, level: float, rng: np.random.Generator) -> Cloud:
    """Each point is moved; what it has beside a place stays."""
    size = np.sqrt(np.square(_centred(cloud)).sum(axis=1).mean())
    found = cloud.copy()
    found[:, :3] += (JITTER * level * size * rng.standard_normal((len(cloud), 3))).astype(np.float32)
    return found


def lost(cloud: Cloud, level: float, rng: np.random.Generator) -> Cloud:
    """Points left out; one always stays."""
    luck = rng.random(len(cloud))
    luck[luck.argmax()] = 1.0
    return cloud[luck >= LOST * level]


def occlusion(cloud: Cloud, level: float, rng: np.random.Generator) -> Cloud:
    """Without a cone around a direction from the cloud's middle, as wide as takes so many points; one always stays."""
    places, direction = _centred(cloud), rng.standard_normal(3)
    distance = np.linalg.norm(places, axis=1)
    along = places @ direction / np.where(distance > 0, distance, 1)
    hidden = min(round(HIDDEN * level * len(cloud)), len(cloud) - 1)
    return cloud[np.sort(np.argsort(along, kind="stable")[: len(cloud) - hidden])]


def _centred(cloud: Cloud) -> npt.NDArray[np.float64]:
    places = cloud[:, :3].astype(np.float64)
    return np.asarray(places - places.mean(axis=0))


CORRUPTIONS: Mapping[str, Callable[[Cloud, float, np.random.Generator], Cloud]] = {
    "jitter": jitter,
    "lost": lost,
    "occlusion": occlusion,
}
