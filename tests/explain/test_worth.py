"""What parts are worth: against all orders by hand, against scipy, and of curves by counting."""

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import spearmanr

from tasks.damage import kind_module as opener
from tasks.explain import kind_module, worth
from tasks.explain.worth import STEPS, Opened, Question, alike, asker, deletion, shapley
from tasks.profile.text import Options


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


class Hearsay:
    """A model of texts: what it says of fever hangs on two of their words."""

    def __init__(self):
        self.kinds = {"note": "text"}
        self.encoders = {"note": SimpleNamespace(card=SimpleNamespace(facts={}))}

    def encode(self, modality, items):
        return items

    def predict(self, given, domain):
        odds = [2 * (b"hot" in text) - 3 * (b"well" in text) for text in given["note"]]
        return {"label": np.stack([np.full(len(odds), 0.5), expit(np.array(odds, float))], axis=1)}


@pytest.mark.parametrize("lacks", [False, True])
def test_a_part_speaks_for_the_answer_also_where_that_is_that_a_label_is_not_there(lacks):
    how = kind_module("text")
    thing = opener("text").read(b"hot but well", Options(), {})
    ask = asker(Hearsay(), Opened("note", thing, how.parts(thing)), how, Question({}, None, "label", 1, False, lacks))
    worth = shapley(ask, how.parts(thing), 0)
    np.testing.assert_allclose(worth, np.array([2.0, 0.0, -3.0]) * (-1 if lacks else 1), atol=1e-9)
    lost = deletion(ask, worth, np.random.default_rng(0), number=False)
    assert lost["largest"].mean() > 0 > lost["smallest"].mean()


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
