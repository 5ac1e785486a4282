"""`train.distil`: the modality that alone knows most teaches the others by its answers, where a sample has both.

A weak modality that is fitted alone learns from few labels; the strong one's probabilities tell of every sample that has both,
of unlabelled ones too, and how sure it is. What the weak one is fitted to is `share` of that answer and the rest of the label;
without a label the answer alone. Who is no better for it, by validation loss, stays as it was.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, at temperature 1, since the answers are for the
train split's shares as they are; between modalities: Gupta, Hoffman, Malik, "Cross Modal Distillation for Supervision
Transfer", CVPR 2016.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tasks import losses
from tasks.standard import Statistics, standardised
from tasks.targets import Output
from tasks.train.inputs import Inputs, present
from tasks.train.neural import Answers, Neural
from tasks.train.rows import Rows


def strongest(parts: Sequence[Neural]) -> Neural:
    """The part with the lowest validation loss; of equal ones the first by name."""
    return min(sorted(parts, key=lambda part: part.card.name), key=validation_loss)


def validation_loss(part: Neural) -> float:
    """The validation loss of the epoch that was kept: of labels alone, whatever it was fitted to."""
    return min(epoch["val_loss"] for epoch in part.card.curve)


def taught(teacher: Neural, train: Inputs) -> Answers:
    """A teacher's answers as `Neural.predict` gives them; NaN where a sample lacks its modality."""
    (modality,) = teacher.card.modalities
    features = {modality: train.features[modality]}
    there = present(train.features[modality])
    return {target: np.where(there[:, None], told, np.nan) for target, told in teacher.predict(features).items()}


def blended(rows: Rows, answers: Answers, share: float, outputs: Mapping[str, Output], statistics: Statistics) -> Rows:
    """Labels and answers as one: float32 [n, classes], or standardised values [n]; NaN where there is neither."""
    labels = {
        t: _blend(truth, torch.from_numpy(_as_labels(answers[t], outputs[t], statistics.get(t))).to(truth.device), share)
        for t, truth in rows.labels.items()
    }
    return replace(rows, labels=labels)


def _as_labels(answer: np.ndarray, output: Output, statistics: Mapping[str, float] | None) -> np.ndarray:
    """Probabilities float32 [n, classes], or values standardised [n]."""
    return standardised(answer[:, 0], statistics) if output.is_number else answer.astype(np.float32)


def _blend(truth: Tensor, told: Tensor, share: float) -> Tensor:
    """One target's labels of either form of `tasks.losses`, and what is told of them in theirs."""
    known = losses.there(truth)
    if not truth.is_floating_point():
        hard = truth if truth.ndim == 2 else functional.one_hot(truth.clamp(min=0), told.shape[1])
        truth = torch.where(known[:, None], hard.float(), torch.nan)
    empty, silent = truth.isnan(), told.isnan()
    mixed = (1 - share) * truth + share * told
    return torch.where(silent, truth, torch.where(empty, told, mixed))
