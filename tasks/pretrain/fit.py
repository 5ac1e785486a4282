"""The training loop of an encoder: supervised, a fixed number of epochs, no look at anything but training rows.

One-cycle learning rate (Smith and Topin 2017, "Super-Convergence"): a fixed schedule needs no validation set to stop early,
and none may be looked at here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.params import Pretrain, keyed_seed

RISING = 0.2  # share of the steps in which the learning rate rises
UNLABELLED = -1


@dataclass(frozen=True)
class Fitted:
    """A fitted encoder: the network, what preparation needs, optimiser steps, mean loss per epoch."""

    network: nn.Module
    facts: Mapping[str, Any]
    steps: int
    curve: Sequence[float]


def fit(
    module: ModuleType,
    options: Any,
    arrays: Sequence[npt.NDArray[Any]],
    labels: Mapping[str, npt.NDArray[np.int64]],
    classes: Mapping[str, int],
    knobs: Pretrain,
    seed: int,
    name: str,
    device: str = "cpu",
) -> Fitted:
    """Fit a kind's network to predict all targets from the mean of its tokens.

    Args:
        module: tasks/extract/<kind>.py.
        options: of the modality.
        arrays: n decoded samples.
        labels: per target int64 [n], -1 where unlabelled.
        classes: per target how many there are.
        knobs: `pretrain` of params.yaml.
        seed: of the run.
        name: the modality's; randomness is keyed by it.
        device: where the network runs.
    """
    facts = module.fit_facts(arrays, options)
    inputs, targets = _tensors(module, options, facts, arrays, labels)
    torch.manual_seed(keyed_seed(seed, "pretrain", name))  # initial weights and dropout
    network = module.Encoder(options, facts, knobs.width, knobs.dropout).to(device)
    heads = nn.ModuleDict({target: nn.Linear(knobs.width, count) for target, count in sorted(classes.items())}).to(device)
    weights = [*network.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=knobs.learning_rate, weight_decay=knobs.weight_decay)
    batches = math.ceil(len(arrays) / knobs.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, knobs.learning_rate, total_steps=batches * knobs.epochs, pct_start=RISING
    )
    order = torch.Generator().manual_seed(keyed_seed(seed, "order", name))
    curve = []
    for epoch in range(1, knobs.epochs + 1):
        total = 0.0
        for rows in _even(torch.randperm(len(arrays), generator=order), batches):
            batch = module.augment({key: values[rows] for key, values in inputs.items()}, order)
            tokens = network.train()({key: values.to(device) for key, values in batch.items()})
            loss = _loss(heads, pooled(tokens, batch["mask"].to(device)), {t: v[rows].to(device) for t, v in targets.items()})
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        curve.append(round(total / len(arrays), 6))
        if epoch % max(1, knobs.epochs // 10) == 0 or epoch == knobs.epochs:
            print(f"{name}: epoch {epoch} of {knobs.epochs}, loss {curve[-1]:.3f}", flush=True)
    return Fitted(network.eval().cpu(), facts, batches * knobs.epochs, curve)


def _tensors(
    module: ModuleType,
    options: Any,
    facts: Any,
    arrays: Sequence[npt.NDArray[Any]],
    labels: Mapping[str, npt.NDArray[np.int64]],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    rows = [module.prepare(array, options, facts) for array in arrays]
    inputs = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
    return inputs, {target: torch.from_numpy(numbers) for target, numbers in labels.items()}


def _even(order: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Batches of nearly one size: a last one of a single sample would have no variance to normalise by."""
    return torch.tensor_split(order, parts)


def pooled(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of the tokens whose mask is on: float32 [b, t, d], bool [b, t] -> float32 [b, d]."""
    there = mask.unsqueeze(-1)
    return torch.where(there, tokens, 0).sum(1) / there.sum(1).clamp(min=1)


def _loss(heads: nn.ModuleDict, vectors: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy summed over the targets; a sample counts where it is labelled."""
    total = torch.zeros((), device=vectors.device)
    for target, numbers in sorted(targets.items()):
        if bool((numbers != UNLABELLED).any()):
            total = total + functional.cross_entropy(heads[target](vectors), numbers, ignore_index=UNLABELLED)
    return total
