"""Every metric on 200 random cases against scikit-learn, to nine digits, and how often intervals hold the truth."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as sk

from tasks.intervals import interval
from tasks.measures import tally
from tasks.tables import decided
from tasks.targets import METRICS, RANKING, Output

CASES = 200
TOLERANCE = 1e-9
CLASSES = ("a", "b", "c", "d", "e")


def sizes(rng):
    """How many samples in how many groups."""
    samples = int(rng.integers(20, 300))
    return samples, rng.integers(0, rng.integers(2, samples), samples).astype(object)


def told(rng, samples, classes):
    """Truth in which every class occurs, and probabilities that lean towards it, some of them equal."""
    truth = rng.permutation(np.resize(np.arange(classes), samples))
    logits = rng.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[truth]
    return truth, softmax(np.round(logits, 1), axis=1)


def several(rng, samples, labels):
    """Several labels at once, each of which is on and off somewhere, and their probabilities."""
    truth = (rng.random((samples, labels)) < 0.4).astype(np.int64)
    truth[0], truth[1] = 1, 0
    return truth, np.round(np.clip(0.3 + 0.4 * truth + rng.normal(0, 0.25, truth.shape), 0, 1), 2)


def ranked(of):
    """Mean over the classes one against the rest; of two classes, of the last one; over several labels."""

    def score(truth, answer):
        if truth.ndim == 2:
            return of(truth, answer, average="macro")
        if answer.shape[1] == 2:
            return of(truth, answer[:, 1])
        return np.mean([of(truth == k, answer[:, k]) for k in range(answer.shape[1])])

    return score


CHOSEN = {
    "accuracy": sk.accuracy_score,
    "macro_f1": lambda truth, said: sk.f1_score(truth, said, average="macro", zero_division=0),
    "weighted_f1": lambda truth, said: sk.f1_score(truth, said, average="weighted", zero_division=0),
    "auroc": ranked(sk.roc_auc_score),
    "auprc": ranked(sk.average_precision_score),
}
VALUES = {
    "r2": sk.r2_score,
    "neg_mean_absolute_error": lambda truth, said: -sk.mean_absolute_error(truth, said),
    "neg_root_mean_squared_error": lambda truth, said: -sk.root_mean_squared_error(truth, said),
}


def test_every_metric_is_held_against_sklearn():
    assert set(CHOSEN) | set(VALUES) == {metric for known in METRICS.values() for metric in known}
    assert set(VALUES) == set(METRICS["regression"])


@pytest.mark.parametrize(
    ("kind", "metric"), [(kind, metric) for kind in ("classification", "multilabel") for metric in METRICS[kind]]
)
def test_scores_of_classes_are_sklearns(kind, metric):
    for seed in range(CASES):
        rng = np.random.default_rng(seed)
        samples, groups = sizes(rng)
        classes = CLASSES[: int(rng.integers(2, 6))]
        truth, answer = (told if kind == "classification" else several)(rng, samples, len(classes))
        said = answer if metric in RANKING else decided(answer, Output(kind, classes))
        found = tally(metric, truth, said, groups, len(classes)).value
        assert found == pytest.approx(CHOSEN[metric](truth, said), abs=TOLERANCE), seed


@pytest.mark.parametrize("metric", VALUES)
def test_scores_of_values_are_sklearns(metric):
    for seed in range(CASES):
        rng = np.random.default_rng(seed)
        samples, groups = sizes(rng)
        truth = rng.normal(rng.normal(0, 10), 3, samples)
        said = truth + rng.normal(0.5, rng.uniform(0.1, 5), samples)
        assert tally(metric, truth, said, groups, 0).value == pytest.approx(VALUES[metric](truth, said), abs=TOLERANCE), seed


TIMES = 1500


@pytest.mark.parametrize("size", ["three", "uneven"])
@pytest.mark.parametrize("groups", [8, 15, 30, 59, 60, 120, 250])
def test_95_percent_intervals_hold_the_truth(groups, size):
    rng, held = np.random.default_rng(groups), 0
    for _ in range(TIMES):
        of = np.repeat(np.arange(groups), 3 if size == "three" else rng.integers(1, 8, groups))
        rate = rng.beta(3.2, 0.8, groups)  # of its own in each group, 0.8 on average
        hits = (rng.random(len(of)) < rate[of]).astype(np.int64)
        found = interval(tally("accuracy", np.ones(len(of), np.int64), hits, of.astype(object), 2), rng, 400, 0.025)
        held += found.low <= 0.8 <= found.high
    assert held / TIMES >= (0.93 if groups < 60 else 0.935)
    assert held / TIMES <= (0.99 if groups < 60 else 0.965)
