"""Distances against scipy's, what chance comes to against simulation, and planted drift."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from tasks.score import drift as drifting
from tasks.score.drift import DRAWS, distance, draws, drift, drifts


def table(rng, groups, size, spread=1.0, shift=0.0):
    """Samples whose groups differ: a number that the group moves, one that it does not, and a class that it prefers."""
    group = np.repeat(np.arange(groups), size)
    level = rng.normal(0, spread, groups)[group] + shift
    prefers = rng.integers(0, 3, groups)[group]
    label = np.where(rng.random(len(group)) < 0.8, prefers, rng.integers(0, 3, len(group)))
    return pd.DataFrame(
        {
            "group": [f"g{g}" for g in group],
            "moved": level + rng.normal(0, 0.3, len(group)),
            "plain": rng.normal(size=len(group)),
            "label": np.array(["cat", "dog", "elk"])[label],
        }
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_distance_of_numbers_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    here, there = rng.integers(0, 9, rng.integers(1, 60)) / 4.0, rng.normal(1, 1, rng.integers(1, 60)).round(1)
    assert distance(pd.Series(here), pd.Series(there)) == pytest.approx(ks_2samp(here, there).statistic, abs=1e-12)


def test_the_distance_of_classes_is_half_of_what_shares_differ_by():
    assert distance(pd.Series(["a", "a", "b", "b"]), pd.Series(["a", "c", "c", "c"])) == pytest.approx(0.75)
    assert distance(pd.Series(["a", "b"]), pd.Series(["b", "a", "b", "a"])) == 0


def test_whole_groups_stand_for_a_batch():
    groups = pd.Series(np.repeat([f"g{n}" for n in range(30)], 4))
    found = draws(groups, 18, 1000, np.random.default_rng(0))
    taken = found.reshape(DRAWS, 30, 4)
    assert (taken.all(axis=2) | ~taken.any(axis=2)).all()
    assert set(found.sum(axis=1)) == {20}  # the fewest groups that have 18 rows
    assert set(draws(groups, 18, 3, np.random.default_rng(0)).sum(axis=1)) == {12}  # the batch has only three
    assert set(draws(groups, 1000, 1000, np.random.default_rng(0)).sum(axis=1)) == {60}


@pytest.mark.parametrize("told", [True, False])
def test_of_batches_like_the_reference_one_in_twenty_is_told(told, monkeypatch):
    """5 % of 100 are 5; more than 11 come by chance once in 200 times."""
    monkeypatch.setattr(drifting, "DRAWS", 100)
    rng = np.random.default_rng(2)
    false = naive = 0
    for _ in range(100):
        everything = table(rng, groups=50, size=5)
        chosen = rng.choice(50, 10, replace=False)
        ours = everything["group"].isin([f"g{n}" for n in chosen])
        batch, reference = everything[ours], everything[~ours]
        naive += ks_2samp(batch["moved"], reference["moved"]).pvalue < 0.05
        batch = batch if told else batch.assign(group="")
        false += any(one.drifted for one in drift(batch, reference, least=0.0))
    assert false <= 11
    assert naive > 25  # what a test that takes samples for independent would say


def test_inputs_and_answers_together_are_told_no_oftener_than_one_of_them(monkeypatch):
    """5 % of 50 are 2.5; more than 7 come by chance less than once in 100 times."""
    monkeypatch.setattr(drifting, "DRAWS", 80)
    rng = np.random.default_rng(6)
    together = apart = 0
    for _ in range(50):
        pairs = []
        for _ in range(4):  # more than there are, so that what each would do by itself shows
            everything = table(rng, groups=50, size=2)
            ours = everything["group"].isin([f"g{n}" for n in rng.choice(50, 10, replace=False)])
            pairs.append((everything[ours], everything[~ours]))
        together += any(one.drifted for one in drifts(pairs, least=0.0))
        apart += any(one.drifted for batch, reference in pairs for one in drift(batch, reference, least=0.0))
    assert together <= 7
    assert apart > 7


def test_planted_drift_is_told_and_what_did_not_drift_is_not():
    rng = np.random.default_rng(3)
    found = {one.column: one for one in drift(table(rng, 40, 5, shift=3.0), table(rng, 200, 5), least=0.1)}
    assert [name for name, one in found.items() if one.drifted] == ["moved"]
    assert found["moved"].distance > 0.8 > found["moved"].chance
    assert "moved lies 0." in found["moved"].line()


def test_a_distance_that_is_sure_but_small_is_not_worth_telling():
    rng = np.random.default_rng(4)
    batch, reference = (pd.DataFrame({"group": [f"{n}" for n in range(4000)], "x": rng.normal(s, 1, 4000)}) for s in (0.15, 0))
    (sure,) = drift(batch, reference, least=0.0)
    (small,) = drift(batch, reference, least=0.2)
    assert sure.drifted
    assert not small.drifted
    assert sure.distance == small.distance


@pytest.mark.parametrize(("shift", "drifted"), [(0.0, False), (1.0, True)])
def test_what_never_varied_is_told_when_it_does(shift, drifted):
    reference = pd.DataFrame({"group": [f"g{n}" for n in range(100)], "rate": 8.0})
    (found,) = drift(reference.assign(rate=8.0 + shift), reference, least=0.1)
    assert (found.drifted, found.factor) == (drifted, pytest.approx(8 / 9) if drifted else None)


def test_another_unit_is_a_factor_and_another_world_is_none():
    rng = np.random.default_rng(5)
    reference = pd.DataFrame({"group": [f"g{n}" for n in range(300)], "x": rng.gamma(9, 1, 300)})
    here = reference.sample(100, random_state=0)
    assert drift(here.assign(x=here["x"] * 1000), reference, 0.1)[0].factor == pytest.approx(0.001, rel=0.2)
    assert drift(here, reference, 0.1)[0].factor is None
    assert drift(here.assign(x=rng.normal(5000, 1, 100)), reference, 0.1)[0].factor is None  # it has another shape, too
    assert drift(here.assign(x=0.0), reference, 0.1)[0].factor is None


def test_too_few_values_are_not_compared():
    reference = pd.DataFrame({"group": [f"g{n}" for n in range(100)], "x": 1.0, "y": [1.0] * 10 + [np.nan] * 90})
    assert drift(reference[:19], reference, 0.1) == []
    assert [one.column for one in drift(reference[:40], reference, 0.1)] == ["x"]
