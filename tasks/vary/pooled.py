"""The cross-validated score: every sample answered by the model that never saw its group, all judged together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.evaluate.scores import Judged, Sureness
from tasks.intervals import interval
from tasks.measures import clipped
from tasks.params import Params
from tasks.targets import Output
from tasks.vary.table import Answered, Row

POOLED = "pooled"


def is_whole(param: str, params: Sequence[Params]) -> bool:
    """Whether these are all folds, each once."""
    folds = [one.split.fold for one in params]
    return param == "split.fold" and sorted(fold for fold in folds if fold is not None) == list(range(params[0].split.folds))


def pooled(rows: Sequence[Row], params: Params) -> Row | None:
    """All folds' samples as one test set, with the interval clustered by group; None when some are judged in several folds.

    The metric is taken once, of all answers, not as a mean over folds. Where ranks count (`auroc`, `auprc`), probabilities of
    different models are ranked among each other. Folds may know different classes: one that a fold's model does not know has
    probability 0 there.

    Args:
        rows: a fold each.
        params: says how intervals are made.
    """
    parts = [row.answered for row in rows if row.answered is not None]
    ids = np.concatenate([part.ids for part in parts])
    if len(set(ids)) < len(ids):
        return None
    output = Output(parts[0].output.type, tuple(sorted({name for part in parts for name in part.output.classes})))
    if all(part.output == parts[0].output for part in parts):
        output = parts[0].output  # classes that params.yaml lists stand in its order
    both = [_understood(part, output) for part in parts]
    truth, answer = (np.concatenate([pair[side] for pair in both]) for side in (0, 1))
    judged = Judged(truth, np.concatenate([part.groups for part in parts]), {POOLED: answer}, {}, output)
    sure = Sureness(params.evaluate.bootstrap, params.evaluate.confidence, params.seed)
    metric = rows[0].metric
    bounds = interval(judged.tally(metric, POOLED), sure.generator(metric), sure.draws, sure.tail)
    return Row(POOLED, metric, None, judged.sizes["samples"], judged.sizes["groups"], "", clipped(bounds, metric))


def _understood(part: Answered, output: Output) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Truth and answer of a fold in the classes of all folds."""
    if output.is_number or part.output == output:
        return part.truth, part.answer
    places = np.array([output.classes.index(name) for name in part.output.classes])
    return _spread(part, places, output), _columns(part.answer, places, output.width)


def _spread(part: Answered, places: npt.NDArray[np.int64], output: Output) -> npt.NDArray[Any]:
    return _columns(part.truth, places, output.width) if output.is_set else places[part.truth]


def _columns(values: npt.NDArray[Any], places: npt.NDArray[np.int64], width: int) -> npt.NDArray[Any]:
    spread = np.zeros((len(values), width), values.dtype)
    spread[:, places] = values
    return spread
