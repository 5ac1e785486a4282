"""One model's score, ready to be taken again of some of the groups, as often as an interval needs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]  # how often each group is drawn, [draws, groups]


@dataclass(frozen=True)
class Tally:
    """A score by group.

    Attributes:
        groups: how many there are, in sorted order.
        value: the score on all samples.
        drawn: from how often each group is drawn, int64 [draws, groups], to scores float64 [draws].
        left: the scores without each group in turn, or without each of many equal parts of them, float64 [parts].
        share: whether it is one model's score between 0 and 1.
    """

    groups: int
    value: float
    drawn: Callable[[Times], Array]
    left: Callable[[], Array]
    share: bool = False

    def minus(self, other: "Tally") -> "Tally":
        """The difference of two models' scores on the same samples: they see the same resamples, so it is paired."""
        if self.groups != other.groups:
            raise ContractBroken(f"scores over {self.groups} and {other.groups} groups cannot be paired")
        return Tally(
            self.groups,
            self.value - other.value,
            lambda times: self.drawn(times) - other.drawn(times),
            lambda: self.left() - other.left(),
        )


def weighted(parts: Sequence[tuple[float, Tally]]) -> Tally:
    """A sum of scores on the same samples, each times its weight: they see the same resamples."""
    groups = {tally.groups for _, tally in parts}
    if len(groups) != 1:
        raise ContractBroken(f"scores over {sorted(groups)} groups cannot be added up")
    return Tally(
        groups.pop(),
        sum(weight * tally.value for weight, tally in parts),
        lambda times: np.asarray(sum(weight * tally.drawn(times) for weight, tally in parts)),
        lambda: np.asarray(sum(weight * tally.left() for weight, tally in parts)),
    )


def of_sums(by_group: Array, ratio: Callable[[Array], Array]) -> Tally:
    """A score that is a function of sums.

    Each group contributes a row of sums, a resample is a weighted sum of rows, and the ratio is taken once at the end.

    Args:
        by_group: float64 [groups, k], one row of sums per group.
        ratio: from sums [..., k] to scores [...].
    """
    whole = by_group.sum(axis=0)
    return Tally(len(by_group), float(ratio(whole)), lambda times: ratio(times @ by_group), lambda: ratio(whole - by_group))
