"""A modality that is learned fast must not starve the others: `train.slowing` holds it back, `train.alone` lets each count.

What the network answers from one modality alone, all others hidden, tells how far it has learned to use it; no part is
added for that, since every fusion takes any subset of the modalities. Two knobs, both off by default:

    slowing   0.5 is a good start. How sure of the truth the network is by a modality alone, against the mean of the others, is
              its lead; of one that is ahead (lead > 1) what a step changes in its own weights is multiplied by
              1 - tanh(slowing · lead), and noise as wide as the change is added: OGM-GE, Peng, Wei, Deng, Wang, Hu, "Balanced
              Multimodal Learning via On-the-fly Gradient Modulation", CVPR 2022. They multiply the gradient, which with their
              optimiser is the same; Adam would divide the factor out again. What all modalities share cannot be slowed for one
              of them, so it is hidden from that share of the batch too: OPM, Wei, Hu, Du, Wen, "On-the-fly Modulation for
              Balanced Multimodal Learning", TPAMI 2024.
    alone     per modality the weight of the loss of these answers beside that of all together, as in Wang, Tran, Feiszli, "What
              Makes Training Multi-modal Classification Networks Hard?", CVPR 2020, with one head for all of them.

A modality has a say by the samples that have it and are labelled; one that is missing in a whole batch has none.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tasks import losses
from tasks.tables import UNLABELLED
from tasks.targets import Target
from tasks.train.fusions.pool import slot

Modal = dict[str, Tensor]
Answer = Callable[[Modal], Modal]  # masks, bool [b, t] per modality -> what the network puts out, per target
Loss = Callable[[Modal, Modal], Tensor]  # that and the labels -> a scalar


@dataclass(frozen=True)
class Pace:
    """How a training is kept even.

    Attributes:
        targets: their losses and weights.
        slowing: `train.slowing`.
        alone: `train.alone`: modality -> weight.
    """

    targets: Mapping[str, Target]
    slowing: float
    alone: Mapping[str, float]

    def measure(self, answer: Answer, loss: Loss, mask: Modal, labels: Modal) -> tuple[Tensor, dict[str, float]]:
        """Look at each modality by itself.

        Args:
            answer: the network, on one batch; outputs as in tasks/losses.py.
            loss: what the network is fitted to; 0 of labels that are all empty.
            mask: bool [b, t] per modality.
            labels: per target, as in tasks/losses.py.

        Returns:
            what is added to the loss, a scalar; modality -> how far it is held back, 0 (not at all) to 1. Nothing is measured,
            and nothing added, where both knobs are off or there is one modality.
        """
        extra = torch.zeros((), device=next(iter(mask.values())).device)
        asked = [m for m in sorted(mask) if self.slowing or self.alone.get(m)] if len(mask) > 1 else []
        sums = torch.zeros(len(asked), 2, dtype=torch.double, device=extra.device)
        for row, m in enumerate(asked):
            only = {other: x if other == m else torch.zeros_like(x) for other, x in mask.items()}
            weight, there = self.alone.get(m, 0.0), mask[m].any(1)
            with torch.set_grad_enabled(weight > 0):
                raw = answer(only)
                known = {t: _where(there, truth) for t, truth in labels.items()}
                if weight:
                    extra = extra + weight * loss(raw, known)
            sums[row] = self._sureness(raw, known)
        return extra, held_back(dict(zip(asked, sums.tolist(), strict=True)), self.slowing) if self.slowing else {}

    def _sureness(self, raw: Modal, labels: Modal) -> Tensor:
        """Weighted sum of how sure the labelled are of the truth, and of the weights: float64 [2]; adds up over batches."""
        sums = torch.zeros(2, dtype=torch.double, device=next(iter(raw.values())).device)
        for t, truth in sorted(labels.items()):
            known = losses.there(truth)
            found = sureness(raw[t].detach().double()[known], truth[known], self.targets[t])
            sums += self.targets[t].weight * torch.stack([found.sum(), known.sum().double()])
        return sums


def sureness(raw: Tensor, truth: Tensor, target: Target) -> Tensor:
    """How sure outputs [k, width] are of the truth of labelled rows, 0 to 1: float [k].

    Of a class its probability; of several labels the mean of the probabilities of what each of them is; of a value the
    density at the truth of a normal distribution around the answer, as wide as the target, against that in its middle.
    """
    if target.type == "regression":
        return torch.exp(-torch.square(raw[:, 0] - truth) / 2)
    if target.type == "multilabel":
        return torch.sigmoid(torch.where(truth > 0, raw, -raw)).mean(1)
    return raw.softmax(1).gather(1, truth[:, None])[:, 0]


def held_back(sums: Mapping[str, tuple[float, float]], slowing: float) -> dict[str, float]:
    """Modality -> tanh(slowing · lead) where it is ahead of the mean of the others, else 0.

    Args:
        sums: modality -> sum of `sureness` and how many were added up; a modality of none has no say.
        slowing: `train.slowing`.
    """
    mean = {m: total / count for m, (total, count) in sums.items() if count}
    held = dict.fromkeys(sums, 0.0)
    for m in mean:
        others = [mean[o] for o in mean if o != m]
        lead = mean[m] / max(float(np.mean(others)), 1e-12) if others else 0.0
        held[m] = float(np.tanh(slowing * lead)) if lead > 1 else 0.0
    return held


def own_parts(network: nn.Module, held: Mapping[str, float]) -> dict[str, list[nn.Parameter]]:
    """Modality -> the weights that are its own: adapter, encoder, its maps in a fusion, which are named after it."""
    return {m: [p for name, p in network.named_parameters() if slot(m) in name.split(".")] for m in held if held[m]}


@contextmanager
def slowed(network: nn.Module, held: Mapping[str, float], generator: torch.Generator) -> Iterator[None]:
    """Slow the own weights of the modalities that are held back; the block is the optimiser's step.

    Args:
        network: whose parts are named by `slot`.
        held: what `measure` found.
        generator: of the noise, on the CPU.
    """
    own = own_parts(network, held)
    before = {m: [p.detach().clone() for p in parts] for m, parts in own.items()}
    yield
    with torch.no_grad():
        for m, parts in own.items():
            for p, old in zip(parts, before[m], strict=True):
                change = p - old
                noise = torch.randn(p.shape, generator=generator).to(p) * change.std(correction=0)
                p.copy_(old + (1 - held[m]) * change + noise)


def _where(there: Tensor, truth: Tensor) -> Tensor:
    """Labels of the rows that are there, empty elsewhere."""
    nothing = float("nan") if truth.is_floating_point() else UNLABELLED
    return torch.where(there.unsqueeze(1) if truth.ndim == 2 else there, truth, nothing)
