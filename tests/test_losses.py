"""Losses against numpy and scipy; what is unlabelled has no say."""

import numpy as np
import pytest
import torch
from scipy.special import huber, log_softmax

from tasks.losses import total
from tasks.tables import UNLABELLED
from tasks.targets import LOSSES, Target

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (9, 4)).astype(np.float32)
LABELS = RNG.integers(0, 4, 9)
VALUES = RNG.normal(0, 2, (9, 1)).astype(np.float32)
TRUTH = RNG.normal(0, 2, 9).astype(np.float32)
SETS = RNG.integers(0, 2, (9, 4))
WEIGHTS = np.array([0.5, 2.0, 1.0, 0.25], np.float32)
LOGGED = log_softmax(LOGITS.astype(np.float64), axis=1)
RIGHT = LOGGED[np.arange(9), LABELS]


def found(target, outputs, truth, weights=None):
    of = None if weights is None else torch.from_numpy(weights)
    loss, count = total(target, torch.from_numpy(outputs), torch.from_numpy(truth), of)
    return loss.item(), count.item()


def test_cross_entropy_is_the_negative_log_likelihood_smoothed_and_weighted_where_asked_for():
    assert found(Target(loss="cross_entropy"), LOGITS, LABELS) == (pytest.approx(-RIGHT.sum(), rel=1e-5), 9)
    smooth = -(0.8 * RIGHT + 0.2 * LOGGED.mean(axis=1)).sum()
    assert found(Target(loss="cross_entropy", label_smoothing=0.2), LOGITS, LABELS)[0] == pytest.approx(smooth, rel=1e-5)
    weighed = -(WEIGHTS[LABELS] * RIGHT).sum()
    assert found(Target(loss="cross_entropy"), LOGITS, LABELS, WEIGHTS)[0] == pytest.approx(weighed, rel=1e-5)


def test_a_teachers_probabilities_are_the_mean_over_what_they_leave_open():
    told = RNG.dirichlet(np.ones(4), 9).astype(np.float32)
    told[3] = np.nan
    kept = np.arange(9) != 3
    expected = -(told * LOGGED)[kept].sum()
    assert found(Target(loss="cross_entropy"), LOGITS, told) == (pytest.approx(expected, rel=1e-5), 8)
    weighed = -(WEIGHTS * told * LOGGED)[kept].sum()
    assert found(Target(loss="cross_entropy"), LOGITS, told, WEIGHTS)[0] == pytest.approx(weighed, rel=1e-5)
    focal = -(told * (1 - np.exp(LOGGED)) ** 2 * LOGGED)[kept]
    assert found(Target(loss="focal"), LOGITS, told)[0] == pytest.approx(focal.sum(), rel=1e-5)
    assert found(Target(loss="focal"), LOGITS, told, WEIGHTS)[0] == pytest.approx((WEIGHTS * focal).sum(), rel=1e-5)
    for loss in ("cross_entropy", "focal"):
        hard = np.eye(4, dtype=np.float32)[LABELS]
        assert found(Target(loss=loss), LOGITS, hard)[0] == pytest.approx(found(Target(loss=loss), LOGITS, LABELS)[0], rel=1e-5)


def test_focal_loss_counts_little_what_is_already_right():
    focal = -((1 - np.exp(RIGHT)) ** 2) * RIGHT
    assert found(Target(loss="focal"), LOGITS, LABELS)[0] == pytest.approx(focal.sum(), rel=1e-5)
    assert found(Target(loss="focal"), LOGITS, LABELS, WEIGHTS)[0] == pytest.approx((WEIGHTS[LABELS] * focal).sum(), rel=1e-5)


def test_errors_of_values_are_squared_or_huberised():
    error = (VALUES[:, 0] - TRUTH).astype(np.float64)
    assert found(Target("regression", loss="mse"), VALUES, TRUTH)[0] == pytest.approx((error**2).sum(), rel=1e-5)
    assert found(Target("regression", loss="huber"), VALUES, TRUTH)[0] == pytest.approx(huber(1.0, error).sum(), rel=1e-5)


def test_each_of_several_labels_is_judged_by_itself():
    losses = SETS * np.logaddexp(0, -LOGITS) + (1 - SETS) * np.logaddexp(0, LOGITS)
    target = Target("multilabel", loss="binary_cross_entropy")
    assert found(target, LOGITS, SETS) == (pytest.approx(losses.mean(axis=1).sum(), rel=1e-5), 9)


CASES = {
    "classification": (LOGITS, LABELS, UNLABELLED),
    "multilabel": (LOGITS, SETS, UNLABELLED),
    "regression": (VALUES, TRUTH, np.nan),
}


@pytest.mark.parametrize(("kind", "loss"), [(kind, loss) for kind, names in LOSSES.items() for loss in names])
def test_the_unlabelled_teach_nothing_and_none_at_all_gives_a_gradient_of_0(kind, loss):
    outputs, truth, empty = CASES[kind]
    truth = truth.copy()
    truth[2:5] = empty
    kept = np.r_[0:2, 5:9]
    target = Target(kind, loss=loss)
    assert found(target, outputs, truth) == (pytest.approx(found(target, outputs[kept], truth[kept])[0], rel=1e-6), 6)
    parameter = torch.from_numpy(outputs).requires_grad_()
    nothing, count = total(target, parameter, torch.from_numpy(np.full_like(truth, empty)))
    nothing.backward()
    assert (nothing.item(), count.item()) == (0, 0)
    assert (parameter.grad == 0).all()
