"""The loss of a constant answer: what a network must be below before it can be said to have learned anything."""

from collections.abc import Mapping, Sequence

import torch

from tasks import losses
from tasks.targets import Target
from tasks.train.rows import Rows


def constant_loss(rows: Rows, prior: Mapping[str, Sequence[float]], targets: Mapping[str, Target]) -> float:
    """Weighted sum over targets of the mean loss of the labelled rows, when each is answered the same.

    Args:
        rows: labels of n samples.
        prior: target -> what is answered, the train split's shares of classes; a target without any is a value, and gets its
            mean, which is 0 when standardised.
        targets: their losses and weights.
    """
    found = 0.0
    for target, truth in sorted(rows.labels.items()):
        shares = torch.tensor(prior.get(target, [0.5]), device=truth.device).clamp(1e-6, 1 - 1e-6)
        logits = shares.log() if target in prior and truth.ndim == 1 else shares.logit()  # of a half 0
        loss, count = losses.total(targets[target], logits.expand(len(truth), -1), truth)
        found += targets[target].weight * float(loss / count.clamp(min=1))
    return found
