"""Scores and intervals against scipy, sklearn, analytic cases and simulated truth."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score, root_mean_squared_error

from tasks.errors import ContractBroken
from tasks.intervals import Interval
from tasks.measures import clipped, limits, tally

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


def test_a_paired_difference_of_macro_f1_is_the_difference_of_sklearns():
    truth, first, groups = drawn(4)
    second = drawn(5)[1]
    found = tally("macro_f1", truth, first, groups, CLASSES).minus(tally("macro_f1", truth, second, groups, CLASSES)).value
    assert found == pytest.approx(f1_score(truth, first, average="macro") - f1_score(truth, second, average="macro"))


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
