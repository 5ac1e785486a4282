"""What 200 simulated years of nights come to, beside a gate that compares two numbers on one test set."""

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from tasks.gate.reigning import Pair, confidence, weighed
from tasks.params import Gate
from tasks.tally import of_sums

YEARS = 200
NIGHTS = 365
BEFORE, EACH, SIZE = 300, 6, 2  # groups of the test set at first, groups that every night adds, samples of a group
GROUPS = BEFORE + EACH * (NIGHTS + 1)
MARGIN = 0.02

Rights = npt.NDArray[np.int64]  # by group, how many of its samples a model gets right


@dataclass
class World:
    """Test samples in the order in which they land; half the groups stand or fall together."""

    rng: np.random.Generator
    luck: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        alike = np.repeat(self.rng.random((GROUPS, 1)), SIZE, axis=1)
        self.luck = np.where(self.rng.random((GROUPS, 1)) < 0.5, alike, self.rng.random((GROUPS, SIZE)))

    def rights(self, accuracy: float, start: int, stop: int) -> Rights:
        """What a model of this accuracy gets right; a tenth of its answers are its own, the others all models share."""
        own = self.rng.random((stop - start, SIZE))
        told = np.where(own < 0.1, own * 10, self.luck[start:stop])
        return (told < accuracy).sum(axis=1)


@dataclass
class Reigning:
    """A model that was promoted when so many groups had landed."""

    accuracy: float
    since: int
    rights: Rights

    @property
    def shown(self) -> float | None:
        """Its score on what arrived since, as the row `decay` shows it."""
        return self.rights[self.since :].mean() / SIZE if len(self.rights) > self.since + 1 else None


def tally(rights: Rights):
    sums = np.stack([rights, np.full(len(rights), SIZE)]).astype(float)
    return replace(of_sums(sums.T, lambda total: total[..., 0] / total[..., 1]), share=True)


def pair(mine: Rights, theirs: Rights) -> Pair | None:
    return Pair(tally(mine), tally(theirs), SIZE * len(mine)) if len(mine) > 1 else None


def lower(who: str, gate: Gate, mine: Rights, model: Reigning) -> float:
    """The bound that decides against a reigning model, as the gate takes it."""
    newer, older = (pair(mine[rows], model.rights[rows]) for rows in (slice(model.since, None), slice(model.since)))
    return weighed(newer, older, pair(mine, model.rights), confidence(who, gate), gate.margin).found.low


@dataclass
class Year:
    """What a year came to: how often the champion changed, its true accuracy at the end, how much it was shown too good."""

    promoted: int
    accuracy: float
    inflated: list[float]


def year(seed: int, gate: Gate, step: float, plain: bool = False) -> Year:
    """Each night one candidate, by `step` better than the champion, on all test samples so far.

    Args:
        seed: of the year.
        gate: its mode and margin.
        step: what each candidate is better by.
        plain: whether a threshold on the plain difference decides, and the champion's score on the whole test set is shown.
    """
    world = World(np.random.default_rng(seed))
    needed = 0.0 if gate.mode == "better" else -gate.margin
    champion = anchor = Reigning(0.85, BEFORE, world.rights(0.85, 0, BEFORE))
    found = Year(0, champion.accuracy, [])
    for stop in range(BEFORE + EACH, GROUPS, EACH):
        for model in {id(m): m for m in (champion, anchor)}.values():
            model.rights = np.concatenate([model.rights, world.rights(model.accuracy, len(model.rights), stop)])
        mine = world.rights(champion.accuracy + step, 0, stop)
        if plain:
            passed = mine.mean() / SIZE - champion.rights.mean() / SIZE > needed
        else:
            passed = lower("champion", gate, mine, champion) > needed and lower("anchor", gate, mine, anchor) > needed
        if passed:
            best = not plain and lower("anchor", gate, mine, anchor) > 0
            champion = Reigning(champion.accuracy + step, stop, mine)
            anchor = champion if best else anchor
            found.promoted += 1
        shown = champion.rights.mean() / SIZE if plain else champion.shown
        if shown is not None:
            found.inflated.append(shown - champion.accuracy)
    found.accuracy = champion.accuracy
    return found


@cache
def years(mode: str, step: float, plain: bool = False, count: int = YEARS) -> list[Year]:
    return [year(seed, Gate(metric="accuracy", mode=mode, margin=MARGIN), step, plain) for seed in range(count)]


def inflated(found: list[Year]) -> float:
    return float(np.mean([np.mean(one.inflated) for one in found]))


def test_of_years_in_which_no_candidate_is_better_few_promote_one_as_better():
    assert sum(one.promoted > 0 for one in years("better", 0.0)) <= 0.05 * YEARS
    assert all(one.promoted > 0 for one in years("better", 0.0, plain=True))


def test_candidates_that_are_better_are_promoted():
    assert all(one.promoted > 0 and one.accuracy > 0.85 for one in years("better", 0.04, count=20))


def test_small_steps_down_never_add_up_to_more_than_the_margin():
    slid = [0.85 - one.accuracy for one in years("non-inferior", -0.002)]
    assert sum(lost > MARGIN + 1e-9 for lost in slid) <= 0.05 * YEARS
    assert min(one.promoted for one in years("non-inferior", -0.002)) > 0  # steps that are allowed are taken
    assert all(0.85 - one.accuracy > 0.5 for one in years("non-inferior", -0.002, plain=True))


@pytest.mark.parametrize(("mode", "step"), [("better", 0.0), ("non-inferior", -0.002)])
def test_the_champions_score_since_its_promotion_is_not_flattered(mode, step):
    assert abs(inflated(years(mode, step))) <= 0.003
    assert inflated(years("better", 0.0, plain=True)) > 0.006  # the best of a year's luck on one test set
