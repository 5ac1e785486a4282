"""Scores, and how sure they are: samples of one group are not independent, so groups are what is drawn again.

A score is a function of sums: each group contributes a row of sums, a resample is a weighted
sum of rows, and the ratio is taken once at the end. Two models on the same samples share their rows' groups, so that
their difference is paired.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken

FEW_GROUPS = 30  # below, percentiles of a bootstrap over groups cover too little (0.79 at 4 groups); Student's t covers
CELLS = 4_000_000  # drawn at once: memory stays flat

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A value with its interval."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """As reports hold it."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Tally:
    """One model's sums by group.

    Attributes:
        by_group: float64 [groups, k], one row of sums per group, groups in sorted order.
        ratio: from sums [..., k] to scores [...].
    """

    by_group: Array
    ratio: Callable[[Array], Array]

    @property
    def value(self) -> float:
        """The score on all samples."""
        return float(self.ratio(self.by_group.sum(axis=0)))

    def minus(self, other: "Tally") -> "Tally":
        """The difference of two models' scores on the same samples, as a tally of both their sums."""
        if len(self.by_group) != len(other.by_group):
            raise ContractBroken(f"scores over {len(self.by_group)} and {len(other.by_group)} groups cannot be paired")
        mine, first, second = self.by_group.shape[1], self.ratio, other.ratio
        both = np.concatenate([self.by_group, other.by_group], axis=1)
        return Tally(both, lambda sums: first(sums[..., :mine]) - second(sums[..., mine:]))


def tally(metric: str, truth: Labels, predicted: Labels, groups: npt.NDArray[np.object_], classes: int) -> Tally:
    """Sum what a metric needs by group.

    Args:
        metric: a name in `METRICS`.
        truth: int64 [n], class indices.
        predicted: int64 [n], class indices.
        groups: [n], the group of each sample.
        classes: number of classes.

    Raises:
        ContractBroken: no sample, unequal lengths, or a label outside 0 … classes - 1.
    """
    if not len(truth) or not len(truth) == len(predicted) == len(groups):
        raise ContractBroken(
            f"a score needs samples: got {len(truth)} labels, {len(predicted)} predictions, {len(groups)} groups"
        )
    for what, labels in {"labels": truth, "predictions": predicted}.items():
        if labels.min() < 0 or labels.max() >= classes:
            raise ContractBroken(f"{what} must be in 0 … {classes - 1}, got {labels.min()} … {labels.max()}")
    names, index = np.unique(groups, return_inverse=True)
    return METRICS[metric](truth, predicted, index, len(names), classes)


def _accuracy(truth: Labels, predicted: Labels, group: Labels, groups: int, classes: int) -> Tally:
    """Share of hits."""
    hits = np.bincount(group[truth == predicted], minlength=groups)
    return Tally(np.stack([hits, np.bincount(group, minlength=groups)], axis=1).astype(np.float64), _share)


def _share(sums: Array) -> Array:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _macro_f1(truth: Labels, predicted: Labels, group: Labels, groups: int, classes: int) -> Tally:
    """Mean of F1 = 2 hits / (in truth + in predictions) over the classes that occur in either."""
    hit = truth == predicted

    def by_class(labels: Labels, of: Labels) -> npt.NDArray[np.int64]:
        return np.bincount(of * classes + labels, minlength=groups * classes).reshape(groups, classes)

    hits = by_class(truth[hit], group[hit])
    return Tally(
        np.concatenate([hits, by_class(truth, group) + by_class(predicted, group)], axis=1).astype(np.float64), _mean_f1
    )


def _mean_f1(sums: Array) -> Array:
    hits, seen = np.split(sums, 2, axis=-1)
    occurs = seen > 0
    return np.asarray(np.where(occurs, 2 * hits / np.where(occurs, seen, 1), 0).sum(axis=-1) / occurs.sum(axis=-1))


METRICS: dict[str, Callable[[Labels, Labels, Labels, int, int], Tally]] = {"accuracy": _accuracy, "macro_f1": _macro_f1}


def interval(sums: Tally, rng: np.random.Generator, draws: int, tail: float) -> Interval:
    """An interval whose ends are each exceeded with probability `tail`: `low` is also a one-sided bound at 1 - tail.

    From 30 groups on, percentiles of a bootstrap that draws whole groups (Davison, Hinkley, "Bootstrap Methods and their
    Application", 1997, §3.8); with fewer, the jackknife's standard error times Student's t with groups - 1 degrees of
    freedom (Cameron, Gelbach, Miller, "Bootstrap-based Improvements for Inference with Clustered Errors", 2008, §II).

    Args:
        sums: of one model, or of the difference of two.
        rng: where resamples come from.
        draws: number of resamples.
        tail: probability beyond each end, e.g. 0.025 for a two-sided 95 % interval.

    Raises:
        ContractBroken: one group only: nothing says how sure its score is.
    """
    groups = len(sums.by_group)
    if groups < 2:
        raise ContractBroken(f"an interval needs at least 2 groups of samples, got {groups}: land more, or set `group`")
    if groups < FEW_GROUPS:
        from scipy.stats import t

        half = float(t.ppf(1 - tail, groups - 1)) * standard_error(sums)
        return Interval(sums.value, sums.value - half, sums.value + half)
    scores = np.concatenate([sums.ratio(part) for part in _resampled(sums.by_group, rng, draws)])
    low, high = np.quantile(scores, [tail, 1 - tail])
    return Interval(sums.value, float(low), float(high))


def _resampled(by_group: Array, rng: np.random.Generator, draws: int) -> list[Array]:
    """Sums of `draws` resamples of the groups, [draws, k] in pieces; the pieces' size does not change what is drawn."""
    groups = len(by_group)
    size = max(1, CELLS // groups)
    return [_one_piece(by_group, rng, min(size, draws - start)) for start in range(0, draws, size)]


def _one_piece(by_group: Array, rng: np.random.Generator, draws: int) -> Array:
    groups = len(by_group)
    drawn = rng.integers(0, groups, size=(draws, groups)) + np.arange(draws)[:, None] * groups
    times = np.bincount(drawn.ravel(), minlength=draws * groups).reshape(draws, groups)
    return np.asarray(times @ by_group)


def standard_error(sums: Tally) -> float:
    """Standard error over groups by the jackknife: leave each group out once (Efron, Stein, Annals of Statistics 1981)."""
    groups = len(sums.by_group)
    if groups < 2:
        raise ContractBroken(f"a standard error needs at least 2 groups of samples, got {groups}: land more, or set `group`")
    left = sums.ratio(sums.by_group.sum(axis=0) - sums.by_group)
    return math.sqrt((groups - 1) / groups * float(((left - left.mean()) ** 2).sum()))


def clipped(bounds: Interval) -> Interval:
    """A score's interval within 0 … 1: Student's t knows no limits."""
    return Interval(bounds.value, max(0.0, bounds.low), min(1.0, bounds.high))
