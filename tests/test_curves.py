"""Areas under curves against scikit-learn: whole, resampled, without a group; constant answers, classes without samples."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import label_binarize

from tasks.errors import ContractBroken
from tasks.intervals import interval, standard_error
from tasks.measures import blind, constant, said, tally
from tasks.targets import METRICS, RANKING, Output

ORACLES = {"auroc": roc_auc_score, "auprc": average_precision_score}


def drawn(seed, classes, n=200, groups=50, digits=9):
    """Truth, probabilities that are right more often than not, equal ones among them with few digits, and groups."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    answer = rng.dirichlet(np.ones(classes), n) + 0.3 * np.eye(classes)[truth]
    return (
        truth,
        (answer / answer.sum(axis=1, keepdims=True)).round(digits),
        np.array([f"g{i % groups}" for i in range(n)], object),
    )


def oracle(metric, truth, answer, weights=None):
    """scikit-learn's: of two classes that of the second, of more the mean over all."""
    columns = [1] if answer.shape[1] == 2 else range(answer.shape[1])
    return np.mean([ORACLES[metric](truth == c, answer[:, c], sample_weight=weights) for c in columns])


@pytest.mark.parametrize("metric", RANKING)
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("digits", [9, 1])
def test_areas_are_those_of_sklearn(metric, classes, digits):
    truth, answer, groups = drawn(classes, classes, digits=digits)
    found = tally(metric, truth, answer, groups, classes).value
    assert found == pytest.approx(oracle(metric, truth, answer), abs=1e-9)
    if classes > 2:
        assert found == pytest.approx(ORACLES[metric](label_binarize(truth, classes=range(classes)), answer), abs=1e-9)


@pytest.mark.parametrize("metric", RANKING)
@pytest.mark.parametrize("classes", [2, 4])
def test_a_resample_counts_samples_as_often_as_their_group_is_drawn(metric, classes):
    truth, answer, groups = drawn(1, classes, digits=1)
    names, index = np.unique(groups, return_inverse=True)
    times = np.random.default_rng(2).multinomial(len(names), np.ones(len(names)) / len(names), 20)
    wanted = [oracle(metric, truth, answer, row[index]) for row in times]
    assert tally(metric, truth, answer, groups, classes).drawn(times) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("metric", RANKING)
def test_the_standard_error_leaves_out_one_group_after_the_other(metric):
    truth, answer, groups = drawn(3, 3, groups=12)
    names = np.unique(groups)
    left = np.array([oracle(metric, truth[groups != name], answer[groups != name]) for name in names])
    expected = np.sqrt((len(names) - 1) / len(names) * ((left - left.mean()) ** 2).sum())
    assert standard_error(tally(metric, truth, answer, groups, 3)) == pytest.approx(expected)


def test_of_very_many_groups_equal_parts_are_left_out(monkeypatch):
    truth, answer, groups = drawn(4, 2, n=900, groups=900)
    whole = standard_error(tally("auroc", truth, answer, groups, 2))
    monkeypatch.setattr("tasks.curves.PARTS", 150)
    assert len(tally("auroc", truth, answer, groups, 2).left()) == 150
    assert standard_error(tally("auroc", truth, answer, groups, 2)) == pytest.approx(whole, rel=0.25)


@pytest.mark.parametrize("metric", RANKING)
def test_an_interval_covers_the_value_and_a_difference_is_paired(metric):
    truth, answer, groups = drawn(5, 3)
    mine = tally(metric, truth, answer, groups, 3)
    found = interval(mine, np.random.default_rng(0), 500, 0.025)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(4 * standard_error(mine), rel=0.25)
    same = interval(mine.minus(mine), np.random.default_rng(0), 100, 0.025)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    better = interval(mine.minus(tally(metric, truth, answer[::-1], groups, 3)), np.random.default_rng(0), 500, 0.025)
    assert better.low > 0


@pytest.mark.parametrize("classes", [2, 4])
def test_a_constant_answer_scores_a_half_and_the_classes_shares(classes):
    truth, _, groups = drawn(6, classes)
    always = blind("auroc", constant(truth), len(truth), Output("classification", tuple("abcd"[:classes])))
    shares = np.bincount(truth) / len(truth)
    assert tally("auroc", truth, always, groups, classes).value == pytest.approx(0.5)
    wanted = shares[1] if classes == 2 else 1 / classes
    assert tally("auprc", truth, always, groups, classes).value == pytest.approx(wanted)


def test_a_class_without_samples_is_left_out():
    truth, answer, groups = drawn(7, 3)
    wide = np.concatenate([answer * 0.9, np.full((len(answer), 1), 0.1)], axis=1)
    for metric in RANKING:
        assert tally(metric, truth, wide, groups, 4).value == pytest.approx(oracle(metric, truth, answer), abs=1e-9)


@pytest.mark.parametrize(
    ("metric", "only", "value"), [("auroc", 0, 0.5), ("auroc", 1, 0.5), ("auprc", 0, 0.0), ("auprc", 1, 1.0)]
)
def test_where_all_are_of_one_class_the_score_is_told_all_the_same(metric, only, value):
    _, answer, groups = drawn(8, 2)
    assert tally(metric, np.full(len(answer), only), answer, groups, 2).value == value


def test_resamples_of_one_class_do_not_end_an_interval():
    truth, groups = np.array([1, *[0] * 239]), np.arange(240).astype(object)  # a third of resamples lack the one of its class
    answer = np.stack([1 - truth * 0.9, truth * 0.9], axis=1)
    found = interval(tally("auroc", truth, answer, groups, 2), np.random.default_rng(0), 400, 0.025)
    assert (found.low, found.value, found.high) == (0.5, 1.0, 1.0)


def test_probabilities_that_are_no_numbers_cannot_be_scored():
    truth, answer, groups = drawn(9, 2)
    answer[3] = np.nan
    with pytest.raises(ContractBroken, match="predictions must be finite, got 2 that are not"):
        tally("auroc", truth, answer, groups, 2)


def test_a_metric_of_ranks_is_given_the_answer_and_others_the_decision():
    answer, output = np.array([[0.2, 0.8], [0.6, 0.4]]), Output("classification", ("a", "b"))
    assert said("auprc", answer, output) is answer
    assert said("accuracy", answer, output).tolist() == [1, 0]
    assert set(RANKING) < set(METRICS["classification"])
