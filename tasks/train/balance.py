"""Rare classes: `train.balance` lets them count or come as often as common ones, and takes that back in the answers.

A head that was fitted to other shares of the classes than the train split's answers for a world in which those hold. By Bayes'
rule its probabilities, times prior / fitted share and divided by their sum, are right for the train split: a constant per
class, added to its logit. Saerens, Latinne, Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori
Probabilities", Neural Computation 2002, equation 2.4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def weights(prior: Array) -> Array:
    """What a sample of each class counts: all classes that occur count alike, and a sample counts 1 on average."""
    seen = prior > 0
    return np.where(seen, 1 / (seen.sum() * np.where(seen, prior, 1)), 0)


def recalibration(prior: Array, fitted: Array) -> Array:
    """What is added to the logits of a head that was fitted to other shares; 0 for a class without a sample."""
    seen = prior > 0
    return np.log(np.where(seen, prior, 1) / np.where(seen, fitted, 1))


@dataclass(frozen=True)
class Balance:
    """How a network is fitted to classes of uneven frequency; empty: as they come.

    Attributes:
        weights: target -> float32 [classes], what a sample of each counts.
        ends: float64 [k], growing up to 1, where the chances of the rows end, one after the other; None: each comes once.
        shift: target -> float32 [classes], what is added to the fitted head's logits.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    ends: Tensor | None = None
    shift: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, how: str, labels: Mapping[str, Labels], priors: Mapping[str, Sequence[float]], device: str) -> "Balance":
        """Measure the rows that are fitted on.

        With sampling and several targets a row is drawn as often as they ask for on average; one that is unlabelled in a
        target asks there for nothing.

        Args:
            how: `train.balance`: none, weights or sampling.
            labels: target -> class indices int64 [k], below 0 where empty.
            priors: target -> share of each class among them.
            device: where the network is.
        """
        if how == "none" or not labels:
            return cls()
        prior = {t: np.array(priors[t]) for t in sorted(labels)}
        counted = {t: weights(shares) for t, shares in prior.items()}
        if how == "weights":
            shift = {t: recalibration(shares, shares * counted[t]) for t, shares in prior.items()}
            return cls(_tensors(counted, device), None, _tensors(shift, device))
        often = np.mean([np.where(labels[t] >= 0, counted[t][np.maximum(labels[t], 0)], 1.0) for t in prior], axis=0)
        shift = {t: recalibration(shares, _drawn(labels[t], often, len(shares))) for t, shares in prior.items()}
        return cls({}, torch.from_numpy(np.cumsum(often) / often.sum()), _tensors(shift, device))

    def order(self, rows: int, generator: torch.Generator) -> Tensor:
        """The rows of one epoch: int64 [rows]."""
        if self.ends is None:
            return torch.randperm(rows, generator=generator)
        chance = torch.rand(rows, dtype=torch.double, generator=generator)
        return torch.searchsorted(self.ends, chance).clamp(max=rows - 1)


def _drawn(labels: Labels, often: Array, classes: int) -> Array:
    """Share of each class among what is drawn."""
    known = labels >= 0
    counts = np.bincount(labels[known], often[known], minlength=classes)
    return np.asarray(counts / counts.sum())


def _tensors(values: Mapping[str, Array], device: str) -> dict[str, Tensor]:
    return {t: torch.from_numpy(of.astype(np.float32)).to(device) for t, of in values.items()}
