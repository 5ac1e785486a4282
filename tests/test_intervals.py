"""Intervals, bounds and standard errors against scipy, analytic cases and hand-made ones."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import bootstrap, t

from tasks import intervals
from tasks.errors import ContractBroken
from tasks.intervals import interval, one_more, standard_error
from tasks.measures import tally
from tasks.tally import weighted
from tests.test_measures import CLASSES, ERRORS, drawn, values


@pytest.mark.parametrize("metric", ERRORS)
def test_the_standard_error_of_values_leaves_out_one_group_after_the_other(metric):
    truth, predicted, groups = values(3, groups=12)
    names = np.unique(groups)
    left = np.array([ERRORS[metric](truth[groups != name], predicted[groups != name]) for name in names])
    expected = np.sqrt((len(names) - 1) / len(names) * ((left - left.mean()) ** 2).sum())
    assert standard_error(tally(metric, truth, predicted, groups, 0)) == pytest.approx(expected)


def test_groups_of_one_give_the_ordinary_bootstrap():
    truth, predicted, _ = drawn(0, n=250)
    found = interval(
        tally("accuracy", truth, predicted, np.arange(250).astype(object), CLASSES), np.random.default_rng(1), 4000, 0.025
    )
    hits = (truth == predicted).astype(float)
    oracle = bootstrap(
        (hits,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=0.01)


def test_with_few_groups_a_shares_interval_is_wilsons_of_students_t_over_group_means():
    means = np.array([0.2, 0.5, 0.6, 0.9])
    truth = np.zeros(40, np.int64)
    predicted = np.concatenate([np.arange(10) >= round(10 * m) for m in means]).astype(np.int64)
    found = interval(
        tally("accuracy", truth, predicted, np.repeat(np.array(list("abcd"), object), 10), 2),
        np.random.default_rng(0),
        10,
        0.025,
    )
    samples = 0.55 * 0.45 / (means.var(ddof=1) / 4)

    def beyond(share):
        return abs(share - 0.55) - t.ppf(0.975, 3) * np.sqrt(share * (1 - share) / samples)

    low, high = brentq(beyond, 1e-9, 0.55), brentq(beyond, 0.55, 1 - 1e-9)
    assert (found.low, found.value, found.high) == pytest.approx((low, 0.55, high))


def test_with_few_groups_a_differences_interval_is_students_t_over_group_means():
    rng, groups = np.random.default_rng(1), np.repeat(np.arange(6), 10).astype(object)
    truth, mine, theirs = np.zeros(60, np.int64), *(rng.random((2, 60)) < 0.3).astype(np.int64)
    sums = tally("accuracy", truth, mine, groups, 2).minus(tally("accuracy", truth, theirs, groups, 2))
    found = interval(sums, rng, 10, 0.025)
    means = (theirs - mine).reshape(6, 10).mean(axis=1)
    half = t.ppf(0.975, 5) * means.std(ddof=1) / np.sqrt(6)
    assert (found.low, found.high) == pytest.approx((means.mean() - half, means.mean() + half))


def test_where_all_groups_agree_each_counts_as_one_sample():
    truth = np.zeros(90, np.int64)
    found = interval(tally("accuracy", truth, truth, np.repeat(np.arange(30), 3).astype(object), 2), None, 10, 0.025)
    assert (found.low, found.high) == pytest.approx((1 / (1 + t.ppf(0.975, 29) ** 2 / 30), 1.0))


def test_a_difference_is_paired_and_needs_the_same_groups():
    truth, predicted, groups = drawn(3)
    mine = tally("accuracy", truth, predicted, groups, CLASSES)
    same = interval(mine.minus(mine), np.random.default_rng(0), 200, 0.05)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    with pytest.raises(ContractBroken, match="cannot be paired"):
        mine.minus(tally("accuracy", truth[:3], truth[:3], groups[:3], CLASSES))


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_pieces_and_repetition_change_nothing(metric, monkeypatch):
    sums = tally(metric, *drawn(6, n=600, groups=250), CLASSES)
    whole = interval(sums, np.random.default_rng(9), 300, 0.025)
    monkeypatch.setattr(intervals, "CELLS", 50 * 7)
    assert interval(sums, np.random.default_rng(9), 300, 0.025) == whole


def test_the_standard_error_of_a_mean_is_the_textbooks():
    hits = np.array([1, 0, 1, 1, 0, 1, 1, 1])
    sums = tally("accuracy", np.ones(8, np.int64), hits, np.arange(8).astype(object), 2)
    assert standard_error(sums) == pytest.approx(hits.std(ddof=1) / np.sqrt(8))


def test_one_group_has_no_interval():
    sums = tally("accuracy", np.array([0, 1]), np.array([0, 1]), np.array(["a", "a"], object), 2)
    with pytest.raises(ContractBroken, match="at least 2 groups"):
        interval(sums, np.random.default_rng(0), 10, 0.05)
    with pytest.raises(ContractBroken, match="at least 2 groups"):
        standard_error(sums)


def test_one_sample_more_counts_as_samples_are_independent_or_whole_groups_alike():
    rng = np.random.default_rng(3)
    truth, groups = np.zeros(3000, np.int64), np.array([f"g{i // 10}" for i in range(3000)], object)
    apart, alike = rng.random(3000) < 0.2, np.repeat(rng.random(300) < 0.2, 10)
    assert one_more(tally("accuracy", truth, apart.astype(int), groups, 2), 3000) == pytest.approx(1 / 3000, rel=0.2)
    assert one_more(tally("accuracy", truth, alike.astype(int), groups, 2), 3000) == pytest.approx(1 / 300, rel=0.02)
    assert one_more(tally("accuracy", truth, truth, groups, 2), 3000) == 1 / 3000  # nothing tells
    value = tally("r2", rng.normal(size=3000), rng.normal(size=3000), groups, 0)
    assert one_more(value, 3000) == 0


def test_a_weighted_sum_of_scores_is_paired_and_needs_the_same_groups():
    truth, predicted, groups = drawn(0)
    one, other = (tally("accuracy", truth, p, groups, CLASSES) for p in (predicted, np.roll(predicted, 1)))
    sums, rng = weighted([(1.0, one), (-1.0, other)]), np.random.default_rng
    assert interval(sums, rng(1), 300, 0.05) == interval(one.minus(other), rng(1), 300, 0.05)
    assert standard_error(sums) == pytest.approx(standard_error(one.minus(other)))
    with pytest.raises(ContractBroken, match=r"over \[10, 50\] groups cannot be added up"):
        weighted([(1.0, one), (1.0, tally("accuracy", truth, predicted, drawn(0, groups=10)[2], CLASSES))])
