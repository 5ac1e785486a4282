"""The space in which the selected model decides: what it treats alike there, and what its wrong answers lie near to."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.evaluate.clusters import LOOKED, clusters, draw_clusters
from tasks.evaluate.neighbours import Taught, neighbours, wrong
from tasks.evaluate.scores import Judged, Sureness
from tasks.tables import write_parquet
from tasks.train.inputs import few


def look(
    folder: Path,
    judged: Judged,
    selected: str,
    names: list[str],
    places: npt.NDArray[np.float64],
    taught: Taught | None,
    sure: Sureness,
) -> dict[str, Any] | None:
    """Write neighbours.parquet and, where there are clusters, clusters.png; returns what scores.json holds of these.

    Args:
        folder: to write into.
        judged: n labelled test samples.
        selected: whose answers are looked at.
        names: their n ids.
        places: float64 [n, width], where they lie (`Candidate.fused`).
        taught: what it was fitted to, in the same space; None: neighbours.parquet has no row.
        sure: how intervals are made.
    """
    write_parquet(folder / "neighbours.parquet", neighbours(judged, selected, names, places, taught))
    found = clusters(judged, selected, names, places, sure)
    if found is None:
        return None
    rows, off = few(names, LOOKED), wrong(judged, selected)
    draw_clusters(folder / "clusters.png", places[rows], found.member[rows], off[rows], found.told["parts"], selected)
    return found.told
