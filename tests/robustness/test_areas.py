"""Relative and effective robustness against sums by hand and numpy's trapezia, and their intervals against resampling them."""

import numpy as np
import pytest

from tasks.measures import tally
from tasks.robustness.areas import effective, relative

GROUPS = np.array([f"g{i // 2}" for i in range(60)], object)


def curve(levels, seed):
    """Right or wrong of 60 samples at each level, and the accuracy's tallies."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(60, np.int64)
    wrong = [(rng.random(60) < 0.1 + 0.5 * level).astype(np.int64) for level in levels]
    return wrong, [tally("accuracy", truth, one, GROUPS, 2) for one in wrong]


@pytest.mark.parametrize("levels", [(0.0, 1.0), (0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.1, 0.5, 1.0)])
def test_areas_are_those_of_trapezia(levels):
    mine, late = curve(levels, 1)[1], curve(levels, 2)[1]
    f, lf = (np.array([sums.value for sums in one]) for one in (mine, late))
    assert relative(mine, levels).value == pytest.approx(np.trapezoid(f, levels), abs=1e-12)
    beta = lf + (f[0] - lf[0])
    assert effective(mine, late, levels).value == pytest.approx(np.trapezoid(f - beta, levels), abs=1e-12)


def test_by_hand():
    scores = {0.0: 60, 0.5: 30, 1.0: 15}  # of 60 are right
    mine = [tally("accuracy", np.zeros(60, int), (np.arange(60) >= right).astype(int), GROUPS, 2) for right in scores.values()]
    late = [tally("accuracy", np.zeros(60, int), (np.arange(60) >= right).astype(int), GROUPS, 2) for right in (48, 36, 24)]
    assert relative(mine, list(scores)).value == pytest.approx(0.5 * (1 + 0.5) / 2 + 0.5 * (0.5 + 0.25) / 2)
    # late fusion begins 0.2 lower and loses 0.2 and 0.4: from 1.0 on that is 0.8 and 0.6
    assert effective(mine, late, list(scores)).value == pytest.approx(0.5 * (0 - 0.3) / 2 + 0.5 * (-0.3 - 0.35) / 2)


def test_an_area_of_resamples_is_that_of_resampled_curves():
    levels = (0.0, 0.5, 1.0)
    wrong, mine = curve(levels, 3)
    late = curve(levels, 4)
    times = np.random.default_rng(0).multinomial(30, [1 / 30] * 30, size=5)
    found, between = relative(mine, levels).drawn(times), effective(mine, late[1], levels).drawn(times)
    order = np.unique(GROUPS, return_inverse=True)[1]
    for draw in range(5):
        weight = times[draw][order]
        f, lf = (np.array([1 - (weight * one).sum() / weight.sum() for one in of]) for of in (wrong, late[0]))
        assert found[draw] == pytest.approx(np.trapezoid(f, levels), abs=1e-12)
        assert between[draw] == pytest.approx(np.trapezoid(f - lf - (f[0] - lf[0]), levels), abs=1e-12)


def test_a_model_that_loses_as_late_fusion_does_is_not_more_robust_for_being_better():
    levels, (_, late) = (0.0, 0.5, 1.0), curve((0.0, 0.5, 1.0), 5)
    assert effective(late, late, levels).value == 0
