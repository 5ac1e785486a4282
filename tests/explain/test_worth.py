"""What parts are worth: against all orders by hand, against scipy, and of curves by counting."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import spearmanr

from tasks.explain import worth
from tasks.explain.worth import STEPS, alike, deletion, shapley


def game(on):
    """Four parts that help, hinder, join and do nothing: float64 [n]."""
    a, b, c = (on[:, at].astype(float) for at in (0, 1, 2))
    return 2 * a - b + 3 * a * b * c


def by_hand(ask, parts):
    total = np.zeros(parts)
    orders = list(permutations(range(parts)))
    for order in orders:
        on = np.zeros((1, parts), bool)
        before = ask(on)[0]
        for part in order:
            on[0, part] = True
            total[part] += ask(on)[0] - before
            before = ask(on)[0]
    return total / len(orders)


def test_estimates_come_to_the_shapley_values_and_always_add_up(monkeypatch):
    true = by_hand(game, 4)
    assert true == pytest.approx([3, 0, 1, 0])
    few = shapley(game, 4, 0)
    assert few.sum() == pytest.approx(game(np.ones((1, 4), bool))[0] - game(np.zeros((1, 4), bool))[0], abs=1e-9)
    monkeypatch.setattr(worth, "ORDERS", 3000)
    assert shapley(game, 4, 0) == pytest.approx(true, abs=0.1)


def test_parts_that_do_not_meet_are_worth_what_they_add_whatever_the_order():
    weights = np.random.default_rng(0).normal(size=12)
    found = shapley(lambda on: on @ weights, 12, 5)
    np.testing.assert_allclose(found, weights, atol=1e-9)


def test_luck_is_the_seeds_own():
    state = torch.random.get_rng_state()
    one, same, other = (shapley(game, 4, seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_curves_count_what_is_lost_in_each_order():
    weights = np.array([0.5, -0.25, 2.0, 0.0, 1.0, -1.5, 0.75, 0.1, 0.2, 0.3])
    found = deletion(lambda on: on @ weights, weights, np.random.default_rng(0), number=False)
    order = sorted(range(10), key=lambda part: -weights[part])
    wanted = [expit(weights.sum()) - expit(weights.sum() - weights[order[:step]].sum()) for step in range(STEPS + 1)]
    np.testing.assert_allclose(found["largest"], wanted, atol=1e-12)
    assert found["largest"].mean() > found["random"].mean() > found["smallest"].mean()
    assert {curve[0] for curve in found.values()} == {0.0}
    assert np.ptp([curve[-1] for curve in found.values()]) < 1e-12
    moved = deletion(lambda on: on @ weights, weights, np.random.default_rng(0), number=True)
    assert moved["largest"][1] == pytest.approx(2.0)
    assert moved["largest"][2] == pytest.approx(0.5)  # -1.5 is the second largest, and takes some of it back
    assert min(curve.min() for curve in moved.values()) >= 0


def test_alike_is_spearmans_and_nothing_where_nothing_is_said():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 30)).round(1)
    assert alike(one, other) == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)
    assert alike(one, np.zeros(30)) == 0
    assert alike(one[:2], other[:2]) == 0
