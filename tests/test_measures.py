"""Scores and intervals against scipy, sklearn, analytic cases and simulated truth."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import bootstrap, t
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score, root_mean_squared_error

from tasks import measures
from tasks.errors import ContractBroken
from tasks.measures import Interval, clipped, interval, limits, one_more, standard_error, tally
from tasks.tally import weighted

CLASSES = 4


def drawn(seed, n=200, groups=50):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, n)
    predicted = np.where(rng.random(n) < 0.7, truth, rng.integers(0, CLASSES, n))
    return truth, predicted, np.array([f"g{i % groups}" for i in range(n)], object)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_sklearn(seed):
    truth, predicted, groups = drawn(seed)
    assert tally("accuracy", truth, predicted, groups, CLASSES).value == pytest.approx(accuracy_score(truth, predicted))
    expected = f1_score(truth, predicted, average="macro")
    assert tally("macro_f1", truth, predicted, groups, CLASSES).value == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_weighted_f1_is_that_of_sklearn(seed):
    truth, predicted, groups = drawn(seed)
    truth, predicted = np.minimum(truth, 2), np.where(predicted == 1, 0, predicted)  # one never true, one never predicted
    expected = f1_score(truth, predicted, average="weighted")
    assert tally("weighted_f1", truth, predicted, groups, CLASSES).value == pytest.approx(expected)


def values(seed, n=200, groups=50, offset=0.0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(offset, 3, n)
    return truth, truth + rng.normal(0.5, 1.5, n), np.array([f"g{i % groups}" for i in range(n)], object)


ERRORS = {
    "r2": r2_score,
    "neg_mean_absolute_error": lambda truth, predicted: -mean_absolute_error(truth, predicted),
    "neg_root_mean_squared_error": lambda truth, predicted: -root_mean_squared_error(truth, predicted),
}


@pytest.mark.parametrize("metric", ERRORS)
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_scores_of_values_are_those_of_sklearn(metric, offset):
    truth, predicted, groups = values(1, offset=offset)
    found = tally(metric, truth, predicted, groups, 0)
    assert found.value == pytest.approx(ERRORS[metric](truth, predicted), rel=1e-6)
    other = values(2, offset=offset)[0]
    better = found.minus(tally(metric, truth, other, groups, 0)).value
    assert better == pytest.approx(ERRORS[metric](truth, predicted) - ERRORS[metric](truth, other), rel=1e-6)
    assert better > 0  # higher is better, whatever the metric


@pytest.mark.parametrize("metric", ERRORS)
def test_the_standard_error_of_values_leaves_out_one_group_after_the_other(metric):
    truth, predicted, groups = values(3, groups=12)
    names = np.unique(groups)
    left = np.array([ERRORS[metric](truth[groups != name], predicted[groups != name]) for name in names])
    expected = np.sqrt((len(names) - 1) / len(names) * ((left - left.mean()) ** 2).sum())
    assert standard_error(tally(metric, truth, predicted, groups, 0)) == pytest.approx(expected)


@pytest.mark.parametrize("predicted", [[2.0, 2.0], [2.0, 3.0]])
def test_where_nothing_varies_r2_is_what_sklearn_makes_of_it(predicted):
    found = tally("r2", np.array([2.0, 2.0]), np.array(predicted), np.array(["a", "b"], object), 0)
    assert found.value == r2_score([2.0, 2.0], predicted)


def test_a_value_that_is_not_finite_cannot_be_scored():
    truth, predicted, groups = values(4)
    predicted[3] = np.nan
    with pytest.raises(ContractBroken, match="predictions must be finite, got 1 that are not"):
        tally("r2", truth, predicted, groups, 0)


def test_an_interval_ends_where_its_metric_does():
    wide = Interval(0.5, -0.7, 1.3)
    assert clipped(wide, "macro_f1") == Interval(0.5, 0.0, 1.0)
    assert clipped(wide, "r2") == Interval(0.5, -0.7, 1.0)
    assert clipped(Interval(-2, -5, 1), "neg_mean_absolute_error") == Interval(-2, -5, 0)
    assert limits("r2") == (None, 1.0)


def test_a_class_that_never_occurs_does_not_lower_macro_f1():
    truth, groups = np.array([0, 1, 0, 1]), np.array(list("abcd"), object)
    assert tally("macro_f1", truth, truth, groups, 9).value == 1.0


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


def test_a_paired_difference_of_macro_f1_is_the_difference_of_sklearns():
    truth, first, groups = drawn(4)
    second = drawn(5)[1]
    found = tally("macro_f1", truth, first, groups, CLASSES).minus(tally("macro_f1", truth, second, groups, CLASSES)).value
    assert found == pytest.approx(f1_score(truth, first, average="macro") - f1_score(truth, second, average="macro"))


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_pieces_and_repetition_change_nothing(metric, monkeypatch):
    sums = tally(metric, *drawn(6, n=600, groups=250), CLASSES)
    whole = interval(sums, np.random.default_rng(9), 300, 0.025)
    monkeypatch.setattr(measures, "CELLS", 50 * 7)
    assert interval(sums, np.random.default_rng(9), 300, 0.025) == whole


def test_the_standard_error_of_a_mean_is_the_textbooks():
    hits = np.array([1, 0, 1, 1, 0, 1, 1, 1])
    sums = tally("accuracy", np.ones(8, np.int64), hits, np.arange(8).astype(object), 2)
    assert standard_error(sums) == pytest.approx(hits.std(ddof=1) / np.sqrt(8))


@pytest.mark.parametrize(
    ("truth", "predicted", "says"),
    [
        ([], [], "needs samples"),
        ([0, 1], [0], "needs samples"),
        ([0, 5], [0, 1], "labels must be in 0 … 3"),
        ([0, 1], [0, -1], "predictions must"),
    ],
)
def test_what_cannot_be_scored_is_refused(truth, predicted, says):
    with pytest.raises(ContractBroken, match=says):
        tally(
            "accuracy", np.array(truth, np.int64), np.array(predicted, np.int64), np.arange(len(truth)).astype(object), CLASSES
        )


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
    assert one_more(tally("accuracy", truth, apart.astype(int), groups, 2), 3000, "accuracy") == pytest.approx(
        1 / 3000, rel=0.2
    )
    assert one_more(tally("accuracy", truth, alike.astype(int), groups, 2), 3000, "accuracy") == pytest.approx(
        1 / 300, rel=0.02
    )
    assert one_more(tally("accuracy", truth, truth, groups, 2), 3000, "accuracy") == 1 / 3000  # nothing tells
    value = tally("r2", rng.normal(size=3000), rng.normal(size=3000), groups, 0)
    assert one_more(value, 3000, "r2") == 0


def test_a_weighted_sum_of_scores_is_paired_and_needs_the_same_groups():
    truth, predicted, groups = drawn(0)
    one, other = (tally("accuracy", truth, p, groups, CLASSES) for p in (predicted, np.roll(predicted, 1)))
    sums, rng = weighted([(1.0, one), (-1.0, other)]), np.random.default_rng
    assert interval(sums, rng(1), 300, 0.05) == interval(one.minus(other), rng(1), 300, 0.05)
    assert standard_error(sums) == pytest.approx(standard_error(one.minus(other)))
    with pytest.raises(ContractBroken, match=r"over \[10, 50\] groups cannot be added up"):
        weighted([(1.0, one), (1.0, tally("accuracy", truth, predicted, drawn(0, groups=10)[2], CLASSES))])
