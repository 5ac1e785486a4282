"""Scores: most are functions of sums by group, some of ranks (tasks/curves.py). How sure they are: tasks/intervals.py."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.curves import auprc, auroc
from tasks.errors import ContractBroken
from tasks.intervals import Interval
from tasks.tables import decided, labelled
from tasks.tally import Array, Tally, of_sums
from tasks.targets import RANKING, Output

Labels = npt.NDArray[np.int64]
Said = npt.NDArray[Any]  # class indices, values, or, where ranks count, a probability per class


def tally(metric: str, truth: Said, predicted: Said, groups: npt.NDArray[np.object_], classes: int) -> Tally:
    """Gather what a metric needs, by group.

    Args:
        metric: a name in `METRICS`.
        truth: int64 [n], class indices, or [n, classes], 0 and 1 for each of several labels; or float64 [n], values.
        predicted: the same of a model; where ranks count, float64 [n, classes], its probabilities (see `said`).
        groups: [n], the group of each sample.
        classes: number of classes; 0 for a metric of numbers.

    Raises:
        ContractBroken: no sample, unequal lengths, a label outside 0 … classes - 1, or a value that is not finite.
    """
    if not len(truth) or not len(truth) == len(predicted) == len(groups):
        raise ContractBroken(
            f"a score needs samples: got {len(truth)} labels, {len(predicted)} predictions, {len(groups)} groups"
        )
    for what, labels in {"labels": truth, "predictions": predicted}.items():
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise ContractBroken(f"{what} must be finite, got {int((~np.isfinite(labels)).sum())} that are not")
        highest = 1 if labels.ndim == 2 else classes - 1
        if classes and (labels.min() < 0 or labels.max() > highest):
            raise ContractBroken(f"{what} must be in 0 … {highest}, got {labels.min()} … {labels.max()}")
    names, index = np.unique(groups, return_inverse=True)
    found = METRICS[metric](truth, predicted, index, len(names), classes)
    return replace(found, share=limits(metric) == (0.0, 1.0))


def _accuracy(truth: Labels, predicted: Labels, group: Labels, groups: int, classes: int) -> Tally:
    """Share of hits; of several labels all must be right."""
    hit = truth == predicted
    hits = np.bincount(group[hit if hit.ndim == 1 else hit.all(axis=1)], minlength=groups)
    return of_sums(np.stack([hits, np.bincount(group, minlength=groups)], axis=1).astype(np.float64), _share)


def _share(sums: Array) -> Array:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _macro_f1(truth: Labels, predicted: Labels, group: Labels, groups: int, classes: int) -> Tally:
    """Mean of F1 = 2 hits / (in truth + in predictions) over the classes that occur in either; 0 when none does."""
    return of_sums(_by_class(truth, predicted, group, groups, classes), _mean_f1)


def _weighted_f1(truth: Labels, predicted: Labels, group: Labels, groups: int, classes: int) -> Tally:
    """Mean of F1 over the classes, each counted as often as it is true; 0 when none ever is."""
    return of_sums(_by_class(truth, predicted, group, groups, classes), _frequent_f1)


def _by_class(truth: Labels, predicted: Labels, group: Labels, groups: int, classes: int) -> Array:
    """Hits, how often true, how often predicted, of each class: float64 [groups, 3 * classes]."""
    if truth.ndim == 2:
        columns = np.concatenate([truth * predicted, truth, predicted], axis=1).T
        return _summed(list(columns), group, groups)
    hit = truth == predicted

    def counted(labels: Labels, of: Labels) -> npt.NDArray[np.int64]:
        return np.bincount(of * classes + labels, minlength=groups * classes).reshape(groups, classes)

    counts = [counted(truth[hit], group[hit]), counted(truth, group), counted(predicted, group)]
    return np.concatenate(counts, axis=1).astype(np.float64)


def _f1(sums: Array) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """F1 of each class (0 where it does not occur), how often it is true, and whether it occurs at all."""
    hits, true, answered = np.split(sums, 3, axis=-1)
    seen = true + answered
    return 2 * hits / np.where(seen > 0, seen, 1), true, seen > 0


def _mean_f1(sums: Array) -> Array:
    f1, _, occurs = _f1(sums)
    return _ratio(f1.sum(axis=-1), occurs.sum(axis=-1))


def _frequent_f1(sums: Array) -> Array:
    f1, true, _ = _f1(sums)
    return _ratio((f1 * true).sum(axis=-1), true.sum(axis=-1))


def _ratio(total: Array, count: npt.NDArray[Any]) -> Array:
    """A mean, 0 of nothing, as scikit-learn has it: several labels may all be off, in truth and answer."""
    return np.asarray(np.where(count > 0, total / np.where(count > 0, count, 1), 0.0))


def _r2(truth: Array, predicted: Array, group: Labels, groups: int, classes: int) -> Tally:
    """Share of the variance that is explained: 1 - sum of squared errors / sum of squares about the samples' own mean."""
    centred = truth - truth.mean()  # a large mean would leave no digits for the variance; a shift changes nothing
    columns = [np.square(truth - predicted), np.square(centred), centred, np.ones(len(truth))]
    return of_sums(_summed(columns, group, groups), _explained)


def _explained(sums: Array) -> Array:
    errors, squares, total, count = np.moveaxis(sums, -1, 0)
    spread = squares - np.square(total) / count
    varied = spread > 1e-12 * squares  # values that are all the same have nothing to explain; as scikit-learn has it
    return np.asarray(np.where(varied, 1 - errors / np.where(varied, spread, 1), errors == 0), dtype=np.float64)


def _mean_error(truth: Array, predicted: Array, group: Labels, groups: int, classes: int) -> Tally:
    """Mean absolute error, below 0."""
    return of_sums(_summed([-np.abs(truth - predicted), np.ones(len(truth))], group, groups), _share)


def _root_error(truth: Array, predicted: Array, group: Labels, groups: int, classes: int) -> Tally:
    """Root of the mean squared error, below 0."""
    squares = _summed([np.square(truth - predicted), np.ones(len(truth))], group, groups)
    return of_sums(squares, lambda sums: -np.sqrt(_share(sums)))


def _summed(columns: list[Array], group: Labels, groups: int) -> Array:
    """Sums by group, float64 [groups, columns]."""
    return np.stack([np.bincount(group, column, minlength=groups) for column in columns], axis=1)


METRICS: dict[str, Callable[[Said, Said, Labels, int, int], Tally]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "weighted_f1": _weighted_f1,
    "auroc": auroc,
    "auprc": auprc,
    "r2": _r2,
    "neg_mean_absolute_error": _mean_error,
    "neg_root_mean_squared_error": _root_error,
}
LIMITS = {  # lowest and highest score; others are 0 and 1
    "r2": (None, 1.0),
    "neg_mean_absolute_error": (None, 0.0),
    "neg_root_mean_squared_error": (None, 0.0),
}


def said(metric: str, answer: Array, output: Output) -> Said:
    """What a metric holds against the truth of an answer [n, width]: the decision, or where ranks count the answer itself."""
    return answer if metric in RANKING else decided(answer, output)


def blind(metric: str, always: Said, samples: int, output: Output) -> Said:
    """What is said of so many samples without looking, by `constant`; where ranks count, all are alike."""
    if metric in RANKING:
        return np.zeros((samples, len(output.classes)))
    return np.broadcast_to(always, (samples, *np.shape(always)))


def limits(metric: str) -> tuple[float | None, float]:
    """The lowest score that a metric can give, None where there is none, and the highest."""
    return LIMITS.get(metric, (0.0, 1.0))


def constant(train: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What is answered without looking, from the labels of the train split (see `tasks.tables.truth`).

    The commonest class, the lowest index among equals; each label as most have it; or the mean; 0 without any.
    """
    known = train[labelled(train)]
    if not len(known):
        return np.zeros(train.shape[1:], train.dtype)
    if known.ndim == 2:
        return np.asarray(known.mean(axis=0) > 0.5, np.int64)
    return np.asarray(known.mean() if known.dtype.kind == "f" else np.bincount(known).argmax())


def clipped(bounds: Interval, metric: str) -> Interval:
    """A score's interval within what its metric can give: Student's t knows no limits."""
    lowest, highest = limits(metric)
    low = bounds.low if lowest is None else max(lowest, bounds.low)
    return Interval(bounds.value, low, min(highest, bounds.high))
