"""What a network is fitted to: `LOSSES[target.loss](outputs, truth, target, weights)`, a sum over the labelled.

outputs     float32 [b, classes], logits; or [b, 1], a standardised value
truth       int64 [b], class indices, or [b, classes], 0 and 1 for each of several labels, UNLABELLED where empty;
                or float32 [b], standardised values, or [b, classes], probabilities that a teacher gave, NaN where empty
weights     float32 [classes], what a sample of each class counts; None: all the same, as for a value
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tasks.tables import UNLABELLED
from tasks.targets import Target

FOCUS = 2.0  # the exponent that Lin et al. found best
Loss = Callable[[Tensor, Tensor, Target, Tensor | None], Tensor]


def total(target: Target, outputs: Tensor, truth: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The sum of a target's loss over the labelled rows of a batch, and their number; a sum of none has a gradient: 0."""
    return LOSSES[target.loss](outputs, truth, target, weights), there(truth).sum()


def there(truth: Tensor) -> Tensor:
    """Which rows are labelled: bool [b]."""
    first = truth[:, 0] if truth.ndim == 2 else truth
    return ~first.isnan() if first.is_floating_point() else first != UNLABELLED


def _cross_entropy(outputs: Tensor, truth: Tensor, target: Target, weights: Tensor | None) -> Tensor:
    """Negative log-likelihood of the class, or of one that is spread a little over all.

    Label smoothing: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception Architecture", CVPR 2016, §7.
    """
    if truth.ndim == 2:
        outputs, truth = outputs[there(truth)], truth[there(truth)]
    return functional.cross_entropy(
        outputs, truth, weights, reduction="sum", ignore_index=UNLABELLED, label_smoothing=target.label_smoothing
    )


def _focal(outputs: Tensor, truth: Tensor, target: Target, weights: Tensor | None) -> Tensor:
    """Cross-entropy times (1 - p)²: what is already right counts little. Its probabilities are less sure than they could be.

    Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, equations 4 and 5.
    """
    found = there(truth)
    if truth.ndim == 2:
        logged = functional.log_softmax(outputs[found], 1)
        every = -truth[found] * ((1 - logged.exp()) ** FOCUS) * logged
        return (every if weights is None else every * weights).sum()
    logged = functional.log_softmax(outputs[found], 1).gather(1, truth[found, None])[:, 0]
    losses = -((1 - logged.exp()) ** FOCUS) * logged
    return (losses if weights is None else losses * weights[truth[found]]).sum()


def _binary_cross_entropy(outputs: Tensor, truth: Tensor, target: Target, weights: Tensor | None) -> Tensor:
    """Negative log-likelihood of each label by itself, mean over the labels."""
    found = there(truth)
    losses = functional.binary_cross_entropy_with_logits(outputs[found], truth[found].float(), reduction="none")
    return losses.mean(1).sum()


def _mse(outputs: Tensor, truth: Tensor, target: Target, weights: Tensor | None) -> Tensor:
    """Squared error: the answer is the mean."""
    found = there(truth)
    return torch.square(outputs[found, 0] - truth[found]).sum()


def _huber(outputs: Tensor, truth: Tensor, target: Target, weights: Tensor | None) -> Tensor:
    """Half the squared error up to one standard deviation of the target, linear beyond: outliers pull less.

    Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 1964.
    """
    found = there(truth)
    return functional.huber_loss(outputs[found, 0], truth[found], reduction="sum")


LOSSES: dict[str, Loss] = {
    "cross_entropy": _cross_entropy,
    "focal": _focal,
    "binary_cross_entropy": _binary_cross_entropy,
    "mse": _mse,
    "huber": _huber,
}
