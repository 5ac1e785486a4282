"""What a wrong answer was learned from: the train samples that lie nearest to it where the model decides, and their labels.

A neighbour that is the same thing under another label is a wrong label or a near double; neighbours that are far off are a gap
in the data. After Papernot, McDaniel, "Deep k-Nearest Neighbors", 2018, which looks at neighbours in a network's layers; here
in the one that its heads see. Distances are Euclidean: the heads are linear, so what is near has nearly the same answer, while
two vectors of the same direction may lie on both sides of a decision.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.evaluate.scores import Judged
from tasks.params import Params
from tasks.tables import SAMPLES
from tasks.targets import Output
from tasks.train.candidates import Candidate
from tasks.train.domains import Domains
from tasks.train.inputs import read_few

MOST = 100  # wrong answers that are looked at
NEAREST = 3
LOOKED = 4000  # train samples among which the nearest are sought: as many features are read, however many there are
FAR_OFF = 0.05  # share of values that are taken for wrong
SCHEMA = pa.schema(
    [
        *(("sample_id", pa.string()), ("truth", pa.string()), ("says", pa.string()), ("sure", pa.float64())),
        pa.field("neighbour", pa.string(), metadata=SAMPLES),
        *(("distance", pa.float64()), ("label", pa.string()), ("rank", pa.int64())),
    ]
)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Taught:
    """Labelled train samples.

    Attributes:
        names: k ids.
        places: float64 [k, width], where they lie.
        truth: their labels.
    """

    names: list[str]
    places: Array
    truth: npt.NDArray[Any]


def wrong(judged: Judged, selected: str) -> npt.NDArray[np.bool_]:
    """Which answers are wrong, bool [n]: another class or set of labels, of values the FAR_OFF that are furthest off."""
    said = judged.predicted(selected)
    if not judged.output.is_number:
        return np.asarray((said != judged.truth).reshape(len(said), -1).any(axis=1))
    off = np.abs(said - judged.truth)
    return np.asarray((off > 0) & (off >= np.sort(off)[-math.ceil(FAR_OFF * len(off))]))


def read_taught(params: Params, folder: Path, candidate: Candidate) -> Taught | None:
    """LOOKED of the train samples that are labelled in the gate's target; None where encoders were fitted with the model.

    Such a candidate brings no features of the train split. Memory: features of LOOKED samples.
    """
    target = params.gate.target
    found = None if (folder / "features").is_dir() else read_few(params.modalities, "train", target, LOOKED)
    if found is None:
        return None
    features = Domains.load(folder, candidate.card).normalised(found.features, found.domain)
    return Taught(found.samples["sample_id"].to_pylist(), candidate.fused(features), found.labels(target))


def neighbours(judged: Judged, selected: str, names: list[str], places: Array, taught: Taught | None) -> pa.Table:
    """The NEAREST train samples of each wrong answer, nearest first; columns as in `SCHEMA`, no row where nothing is wrong.

    The answers that are surest come first, of values those that are furthest off; MOST of them.

    Args:
        judged: n labelled test samples.
        selected: whose answers these are.
        names: their n ids.
        places: float64 [n, width], where they lie.
        taught: what was learned from, in the same space; None: no row.
    """
    if taught is None:
        return SCHEMA.empty_table()
    from scipy.spatial.distance import cdist

    said, output = judged.predicted(selected), judged.output
    first = np.abs(said - judged.truth) if output.is_number else _sure(judged.answers[selected], said, output)
    rows = np.flatnonzero(wrong(judged, selected))
    rows = rows[np.lexsort((np.array(names)[rows], -first[rows]))][:MOST]
    learned = np.argsort(np.array(taught.names))  # equals in the order of their ids
    distances = cdist(places[rows], taught.places[learned])
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :NEAREST]
    found, each = learned[nearest].ravel(), nearest.shape[1]
    of = np.repeat(rows, each)
    columns = {
        "sample_id": [names[row] for row in of],
        "truth": [output.words(one) for one in judged.truth[of]],
        "says": [output.words(one) for one in said[of]],
        "sure": pa.nulls(len(of), pa.float64()) if output.is_number else first[of],
        "neighbour": [taught.names[row] for row in found],
        "distance": np.take_along_axis(distances, nearest, axis=1).ravel(),
        "label": [output.words(one) for one in taught.truth[found]],
        "rank": np.tile(np.arange(1, each + 1), len(rows)),
    }
    return pa.table(columns, schema=SCHEMA)


def _sure(answer: Array, said: npt.NDArray[Any], output: Output) -> Array:
    """The probability of what was decided, float64 [n]; of several labels the mean of theirs."""
    if output.is_set:
        return np.asarray(np.where(said == 1, answer, 1 - answer).mean(axis=1))
    return np.asarray(answer[np.arange(len(answer)), said])
