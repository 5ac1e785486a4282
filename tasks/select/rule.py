"""The simplest candidate that is as good as the best on validation data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.intervals import standard_error
from tasks.tally import Tally

RULE = (
    "the simplest candidate whose score on validation data is within one clustered standard error, of the paired difference,"
    " of the best one's, no more than half of gate.margin behind it, and below no simpler one's; simple to complex: one"
    " modality alone, late averaging, logistic regression, fusions by parameters, those that were fitted end to end"
)
ORDER = ("alone", "late", "logistic", "fusion", "finetune")


@dataclass(frozen=True)
class Judged:
    """A candidate as the rule sees it.

    Attributes:
        kind: one of `ORDER`.
        parameters: number of fitted numbers.
        tally: its score's sums by group, on the same samples for all.
    """

    kind: str
    parameters: int
    tally: Tally


@dataclass(frozen=True)
class Choice:
    """One candidate's standing: its score, the standard error of the best one's lead over it, and whether it may be taken."""

    score: float
    se_of_difference: float
    eligible: bool


def choose(candidates: Mapping[str, Judged], most: float = math.inf) -> tuple[str, dict[str, Choice]]:
    """Apply the one-standard-error rule (Breiman et al., "Classification and Regression Trees", 1984, §3.4.3).

    The candidates were scored on the same samples, so what is uncertain is the *difference* to the best, not the best's
    score: its standard error leaves out what makes a sample easy or hard for everyone. That is the narrower of the two,
    so that a simple candidate is not taken for noise that both share. With few groups that error is large and itself
    uncertain: it is no licence to give away points. One that is further behind than `most`, or that a simpler one beats, is
    never taken. (Choosing on one half of the validation data of twelve nights with 8 to 14 groups and scoring on the other
    half, the error alone lost a point to logistic regression, with half a margin of 2 points it lost none.)

    Args:
        candidates: by name, scored on the same samples.
        most: what simplicity may cost, in the metric's unit.

    Returns:
        the chosen name, and every candidate's standing.
    """
    names = sorted(candidates, key=lambda name: _rank(name, candidates[name]))
    best = max(names, key=lambda name: candidates[name].tally.value)  # the simplest of several best
    standing: dict[str, Choice] = {}
    for name in names:
        floor = max((choice.score for choice in standing.values()), default=-math.inf)
        standing[name] = _standing(candidates[name].tally, candidates[best].tally, floor, most)
    return next(name for name in names if standing[name].eligible), standing


def _rank(name: str, candidate: Judged) -> tuple[int, int, str]:
    return ORDER.index(candidate.kind), candidate.parameters, name


def _standing(mine: Tally, best: Tally, floor: float, most: float) -> Choice:
    lead = best.minus(mine)
    error = standard_error(lead)
    return Choice(mine.value, error, lead.value <= min(error, most) and mine.value >= floor)
