"""The space in which the selected model decides: what it treats alike there, for scores.json and as a picture."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.evaluate.clusters import LOOKED, clusters, draw_clusters
from tasks.evaluate.neighbours import wrong
from tasks.evaluate.scores import Judged, Sureness
from tasks.train.inputs import few


def look(
    folder: Path, judged: Judged, selected: str, names: list[str], places: npt.NDArray[np.float64], sure: Sureness
) -> dict[str, Any] | None:
    """Write clusters.png where there are clusters; returns what scores.json holds of these (arguments as of `clusters`)."""
    found = clusters(judged, selected, names, places, sure)
    if found is None:
        return None
    rows, off = few(names, LOOKED), wrong(judged, selected)
    draw_clusters(folder / "clusters.png", places[rows], found.member[rows], off[rows], found.told["parts"], selected)
    return found.told
