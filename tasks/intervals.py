"""How sure a score is: samples of one group are not independent, so groups are what is drawn again, or left out.

A score is taken again of resamples of the groups (`tasks/tally.py`). Two models on the same samples see the same resamples, so
that their difference is paired.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from tasks.errors import ContractBroken
from tasks.tally import Tally, Times

FEWEST_GROUPS = 8  # below, nothing is decided by them alone
FEW_GROUPS = 30  # below, bounds are wide, and rest on what is known of t rather than on data
MANY_GROUPS = 200  # below, percentiles of a bootstrap over groups cover too little (0.79 at 4 groups, 0.93 at 60 to 120)
CELLS = 4_000_000  # drawn at once: memory stays flat


@dataclass(frozen=True)
class Interval:
    """A value with its interval."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """As reports hold it."""
        return {"value": self.value, "low": self.low, "high": self.high}


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


def _resampled(groups: int, rng: np.random.Generator, draws: int) -> Iterator[Times]:
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


def one_more(sums: Tally, samples: int) -> float:
    """What one more independent sample counts in a share: 1 / samples, up to 1 / groups where those of a group are alike.

    By the effective sample size p (1 - p) / SE^2 (Kish, "Survey Sampling", 1965, §8.2). 0 of what is no share.
    """
    if not sums.share:
        return 0.0
    spread = sums.value * (1 - sums.value)
    each = standard_error(sums) ** 2 / spread if spread > 0 else 0.0
    return min(max(each, 1 / samples), 1 / sums.groups)
