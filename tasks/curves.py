"""How well probabilities put a class's samples before the others': areas under curves, of which no sum by group can tell."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.tally import Array, Tally, Times

Labels = npt.NDArray[np.int64]

CELLS = 1 << 17  # worked on at once: what a core's own cache holds
PARTS = 1000  # groups that are left out in turn, or so many equal parts of more of them


@dataclass(frozen=True)
class Counts:
    """Samples in each of many resamples, step by step: a step is a probability that a sample of the class has, highest first.

    Attributes:
        mine: of the class at the step, float64 [steps, draws].
        before: of all, more probable, [steps, draws].
        upto: of all, at least as probable, [steps, draws].
        whole: of all, [draws].
    """

    mine: Array
    before: Array
    upto: Array
    whole: Array


@dataclass(frozen=True)
class Order:
    """Samples sorted by a class's probability, the highest first, as far as counting needs it.

    Attributes:
        group: of each sample, int64 [n].
        mine: places of the class's samples.
        first: of each step, number of its first one among `mine`.
        cuts: places where the steps begin and end, and 0: sorted, each once.
        begin: of each step, which of `cuts` (n comes after the last) it begins at.
        end: the same of where it ends.
    """

    group: Labels
    mine: Labels
    first: Labels
    cuts: Labels
    begin: Labels
    end: Labels

    @classmethod
    def of(cls, mine: npt.NDArray[np.bool_], probability: Array, group: Labels) -> "Order":
        """Sort them."""
        order = np.argsort(-probability, kind="stable")
        falling, places = -probability[order], np.flatnonzero(mine[order])
        steps, first = np.unique(falling[places], return_index=True)
        begin, end = (np.searchsorted(falling, steps, side) for side in ("left", "right"))
        cuts = np.unique(np.concatenate([[0], begin, end]))
        cuts = cuts[cuts < len(order)]
        return cls(group[order], places, first, cuts, np.searchsorted(cuts, begin), np.searchsorted(cuts, end))

    def count(self, times: Times) -> Counts:
        """Count in resamples [draws, groups]."""
        weights = np.ascontiguousarray(times.T, np.float64)[self.group]  # [n, draws]
        parts = np.add.reduceat(weights, self.cuts, axis=0).cumsum(axis=0)
        parts = np.concatenate([np.zeros((1, len(times))), parts])
        mine = weights[self.mine]
        if len(self.first) < len(self.mine):
            mine = np.add.reduceat(mine, self.first, axis=0)
        return Counts(mine, parts[self.begin], parts[self.end], parts[-1])


def auroc(truth: Labels, answer: Array, group: Labels, groups: int, classes: int) -> Tally:
    """How often a sample of the class is given a higher probability than one of another class; equal ones count half.

    Of two classes that of the second; of more, each against all others, and their mean (Hand, Till, Machine Learning 2001,
    take pairs instead; this is scikit-learn's `roc_auc_score(multi_class="ovr")`); of several labels their mean. A class that
    has no sample, or no other, is left out; 0.5, as of a constant answer, when none is left.
    """
    return _ranked(_above, 0.5, truth, answer, group, groups, classes)


def auprc(truth: Labels, answer: Array, group: Labels, groups: int, classes: int) -> Tally:
    """Average precision: at each sample of the class, the class's share of all that are at least as probable; their mean.

    Without interpolation, which flatters (Davis, Goadrich, ICML 2006): scikit-learn's `average_precision_score`. Of two classes
    that of the second; of more each against all others, and their mean; of several labels their mean. A constant answer scores
    the class's share. A class without a sample is left out; 0 when none is left.
    """
    return _ranked(_precise, 0.0, truth, answer, group, groups, classes)


def _above(counts: Counts) -> Array:
    """The share of pairs in the right order; NaN where the class or the others have no sample."""
    below = counts.whole - (counts.before + counts.upto) / 2  # of a step that several share half counts
    mine = counts.mine.sum(axis=0)
    pairs = mine * (counts.whole - mine)
    among = np.square(mine) / 2  # the class's own pairs, each once, and a sample with itself half
    right = (counts.mine * below).sum(axis=0) - among
    return np.asarray(np.where(pairs > 0, right / np.where(pairs > 0, pairs, 1), np.nan))


def _precise(counts: Counts) -> Array:
    """The mean precision at each sample of the class; NaN where there is none."""
    found, mine = counts.mine.cumsum(axis=0), counts.mine.sum(axis=0)
    total = (counts.mine * found / np.maximum(counts.upto, 1)).sum(axis=0)  # a step that no resample has holds nothing
    return np.asarray(np.where(mine > 0, total / np.maximum(mine, 1), np.nan))


def _ranked(
    area: Callable[[Counts], Array], nothing: float, truth: Labels, answer: Array, group: Labels, groups: int, classes: int
) -> Tally:
    """Sort once by each class's probability; a resample then only counts."""
    several = truth.ndim == 2
    mine = {c: truth[:, c] == 1 if several else truth == c for c in ([1] if classes == 2 and not several else range(classes))}
    orders = [Order.of(rows, answer[:, c], group) for c, rows in mine.items()]
    orders = [order for order in orders if len(order.mine)]

    def drawn(times: Times) -> Array:
        size = max(1, CELLS // len(truth))
        pieces = [times[at : at + size] for at in range(0, len(times), size)]
        scores = np.concatenate([_mean([area(order.count(piece)) for order in orders], len(piece)) for piece in pieces])
        return np.asarray(np.where(np.isnan(scores), nothing, scores))

    return Tally(groups, float(drawn(np.ones((1, groups), np.int64))[0]), drawn, lambda: drawn(_without(groups)))


def _mean(scores: list[Array], draws: int) -> Array:
    """Mean over the classes that can be told, NaN when there is none: [draws]."""
    stacked = np.array(scores).reshape(-1, draws)
    told = ~np.isnan(stacked)
    total, count = np.where(told, stacked, 0).sum(axis=0), told.sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _without(groups: int) -> Times:
    """All groups once, but for each part in turn: int64 [parts, groups]."""
    parts = min(groups, PARTS)
    return np.asarray(np.arange(groups)[None] % parts != np.arange(parts)[:, None], np.int64)
