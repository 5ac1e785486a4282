"""Scores, and how sure they are: samples of one group are not independent, so groups are what is drawn again.

Most scores are functions of sums by group, some of ranks (`tasks/curves.py`); either is taken again of resamples of the groups
(`tasks/tally.py`). Two models on the same samples see the same resamples, so that their difference is paired.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.curves import auprc, auroc
from tasks.errors import ContractBroken
from tasks.tables import decided, labelled
from tasks.tally import Array, Tally, of_sums
from tasks.targets import RANKING, Output

FEW_GROUPS = 30  # below, bounds are wide, and rest on what is known of t rather than on data
MANY_GROUPS = 200  # below, percentiles of a bootstrap over groups cover too little (0.79 at 4 groups, 0.93 at 60 to 120)
CELLS = 4_000_000  # drawn at once: memory stays flat

Labels = npt.NDArray[np.int64]
Said = npt.NDArray[Any]  # class indices, values, or, where ranks count, a probability per class


@dataclass(frozen=True)
class Interval:
    """A value with its interval."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """As reports hold it."""
        return {"value": self.value, "low": self.low, "high": self.high}


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


def interval(sums: Tally, rng: np.random.Generator, draws: int, tail: float) -> Interval:
    """An interval whose ends are each exceeded with probability `tail`: `low` is also a one-sided bound at 1 - tail.

    From 200 groups on, percentiles of a bootstrap that draws whole groups (Davison, Hinkley, "Bootstrap Methods and their
    Application", 1997, §3.8); with fewer, the jackknife's standard error times Student's t with groups - 1 degrees of
    freedom (Cameron, Gelbach, Miller, "Bootstrap-based Improvements for Inference with Clustered Errors", 2008, §II), and for
    a share, which near 0 and 1 is skewed, Wilson's interval of as many samples as would have that standard error (Franco,
    Little, Louis, Slud, "Comparative Study of Confidence Intervals for Proportions in Complex Sample Surveys", 2019).

    Args:
        sums: of one model, or of the difference of two.
        rng: where resamples come from.
        draws: number of resamples.
        tail: probability beyond each end, e.g. 0.025 for a two-sided 95 % interval.

    Raises:
        ContractBroken: one group only: nothing says how sure its score is.
    """
    groups = sums.groups
    if groups < 2:
        raise ContractBroken(f"an interval needs at least 2 groups of samples, got {groups}: land more, or set `group`")
    if groups < MANY_GROUPS:
        far, error = quantile(1 - tail, groups), standard_error(sums)
        if sums.share:
            return _wilson(sums.value, error, groups, far)
        return Interval(sums.value, sums.value - far * error, sums.value + far * error)
    scores = np.concatenate([sums.drawn(times) for times in _resampled(groups, rng, draws)])
    low, high = np.quantile(scores, [tail, 1 - tail])
    return Interval(sums.value, float(low), float(high))


def _wilson(share: float, error: float, groups: int, far: float) -> Interval:
    """The shares that lie no more than `far` standard errors of their own from this one; where all groups agree, of groups."""
    spread = share * (1 - share)
    samples = spread / error**2 if error > 0 and spread > 0 else groups
    middle, width = share + far**2 / (2 * samples), far * math.sqrt(spread / samples + far**2 / (4 * samples**2))
    return Interval(share, (middle - width) / (1 + far**2 / samples), (middle + width) / (1 + far**2 / samples))


def _resampled(groups: int, rng: np.random.Generator, draws: int) -> Iterator[Labels]:
    """How often each group is in each of `draws` resamples, [draws, groups] in pieces; their size changes nothing."""
    size = max(1, CELLS // groups)
    for start in range(0, draws, size):
        part = min(size, draws - start)
        drawn = rng.integers(0, groups, size=(part, groups)) + np.arange(part)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=part * groups).reshape(part, groups)


def standard_error(sums: Tally) -> float:
    """Standard error over groups by the jackknife: leave each group out once (Efron, Stein, Annals of Statistics 1981)."""
    if sums.groups < 2:
        raise ContractBroken(
            f"a standard error needs at least 2 groups of samples, got {sums.groups}: land more, or set `group`"
        )
    left = sums.left()
    return math.sqrt((len(left) - 1) / len(left) * float(((left - left.mean()) ** 2).sum()))


def surely(difference: Tally, each: float, confidence: float) -> Interval:
    """The difference of two models with one-sided bounds that hold far out too, where no resample ever comes.

    The jackknife's standard error times Student's t with groups - 1 degrees of freedom (Cameron, Gelbach, Miller, 2008, §II),
    and a charge that grows with the square of t, as the next term of the Cornish-Fisher expansion of a sum of rare events does.
    Two models of a kind differ in few samples, and where the rare ones in which one of them loses happen not to be drawn,
    neither their number nor the standard error tells. Without the charge 8 to 10 % of the candidates that are worse by just
    what is allowed look better than that at 95 %, where whole groups stand or fall together, and at 99.99 % five times as
    many as should (tests/gate/test_error_rates.py, tests/gate/test_years.py).

    Args:
        difference: of two models on the same samples.
        each: what one independent sample counts (see `one_more`): at 95 % so much is charged.
        confidence: one-sided.

    Raises:
        ContractBroken: one group only.
    """
    far = quantile(confidence, difference.groups)
    half = far * standard_error(difference) + charge(each, far)
    return Interval(difference.value, difference.value - half, difference.value + half)


def charge(each: float, far: float) -> float:
    """How much further out a bound is for what may have been missed: `each` at 95 %, with the square of the quantile more."""
    return each * (far / quantile(0.95)) ** 2


@cache
def quantile(probability: float, groups: int | None = None) -> float:
    """Below which so much of Student's t with groups - 1 degrees of freedom lies; without groups of the normal distribution."""
    from scipy.stats import norm, t

    return float(norm.ppf(probability) if groups is None else t.ppf(probability, groups - 1))


def tail(value: float, groups: int) -> float:
    """What of Student's t with groups - 1 degrees of freedom lies above a value."""
    from scipy.stats import t

    return float(t.sf(value, groups - 1))


def one_more(sums: Tally, samples: int, metric: str) -> float:
    """What one more independent sample counts in a share: 1 / samples, up to 1 / groups where those of a group are alike.

    By the effective sample size p (1 - p) / SE^2 (Kish, "Survey Sampling", 1965, §8.2). 0 for a metric that is no share.
    """
    if limits(metric) != (0.0, 1.0):
        return 0.0
    spread = sums.value * (1 - sums.value)
    each = standard_error(sums) ** 2 / spread if spread > 0 else 0.0
    return min(max(each, 1 / samples), 1 / sums.groups)


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
