"""The training loop of an encoder: supervised, a fixed number of epochs, no look at anything but training rows.

One-cycle learning rate (Smith and Topin 2017, "Super-Convergence"): a fixed schedule needs no validation set to stop early,
and none may be looked at here. One that was cut off goes on after the last whole epoch (tasks/checkpoint.py).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks import losses
from tasks.checkpoint import Checkpoint, Training, digest
from tasks.errors import ContractBroken
from tasks.params import Pretrain, keyed_seed
from tasks.targets import Target

RISING = 0.2  # share of the steps in which the learning rate rises
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Head:
    """What a target asks of an encoder: its loss and weight, and how many numbers answer it."""

    target: Target
    width: int


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
    labels: Mapping[str, npt.NDArray[Any]],
    heads: Mapping[str, Head],
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
        labels: per target class indices int64 [n], or standardised values float32 [n] (see tasks/losses.py).
        heads: per target what is fitted to them.
        knobs: `pretrain` of params.yaml.
        seed: of the run.
        name: the modality's; randomness is keyed by it.
        device: where the network runs.

    Raises:
        ContractBroken: the loss became NaN or infinite.
    """
    facts = module.fit_facts(arrays, options)
    rows = [module.prepare(array, options, facts) for array in arrays]
    inputs = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
    targets = {target: torch.from_numpy(numbers) for target, numbers in sorted(labels.items())}
    torch.manual_seed(keyed_seed(seed, "pretrain", name))  # initial weights and dropout
    network = module.Encoder(options, facts, knobs.width, knobs.dropout)
    made = nn.ModuleDict({target: nn.Linear(knobs.width, head.width) for target, head in sorted(heads.items())})
    model = nn.ModuleDict({"network": network, "heads": made}).to(device)
    order = torch.Generator().manual_seed(keyed_seed(seed, "order", name))
    optimiser, schedule, parts = _optimiser(model, len(arrays), knobs)
    training = Training(model, optimiser, order, schedule)
    asked = {target: asdict(head) for target, head in heads.items()}
    checkpoint = Checkpoint(name, training, lambda: digest(name, asdict(knobs), seed, device, facts, inputs, targets, asked))
    resumed = checkpoint.resume(knobs.epochs)
    curve: list[float] = resumed[0]["curve"] if resumed else []
    for epoch in range(len(curve) + 1, knobs.epochs + 1):
        curve.append(_epoch(module, model, training, inputs, targets, heads, parts))
        _tell(name, epoch, knobs.epochs, curve[-1])
        checkpoint.save({"epoch": epoch, "curve": curve})
    return Fitted(network.eval().cpu(), facts, parts * knobs.epochs, curve)


def _epoch(
    module: ModuleType,
    model: nn.ModuleDict,
    training: Training,
    inputs: Batch,
    targets: Batch,
    heads: Mapping[str, Head],
    parts: int,
) -> float:
    """One pass over the samples in a new order; returns the mean loss."""
    count, total = len(next(iter(inputs.values()))), 0.0
    device = str(next(model.parameters()).device)
    for chosen in torch.tensor_split(torch.randperm(count, generator=training.order), parts):
        batch = module.augment({key: values[chosen] for key, values in inputs.items()}, training.order)
        loss = _loss(model, _to(batch, device), _to({t: v[chosen] for t, v in targets.items()}, device), heads)
        training.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        training.optimiser.step()
        if training.schedule:
            training.schedule.step()
        total += loss.item() * len(chosen)
    return round(total / count, 6)


def _optimiser(
    model: nn.Module, samples: int, knobs: Pretrain
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, int]:
    """AdamW with its schedule, and the number of batches per epoch.

    Batches are of nearly one size, at least 2: a last one of a single sample would have no variance to normalise by.
    """
    parts = min(math.ceil(samples / knobs.batch), max(1, samples // 2))
    optimiser = torch.optim.AdamW(model.parameters(), lr=knobs.learning_rate, weight_decay=knobs.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, knobs.learning_rate, total_steps=parts * knobs.epochs, pct_start=RISING
    )
    return optimiser, schedule, parts


def _to(tensors: Batch, device: str) -> Batch:
    return {key: values.to(device) for key, values in tensors.items()}


def _tell(name: str, epoch: int, epochs: int, loss: float) -> None:
    """Print about ten lines in all, and stop where there is nothing left to learn from.

    Raises:
        ContractBroken: the loss is no finite number.
    """
    if not math.isfinite(loss):
        raise ContractBroken(f"modality {name}: the loss of epoch {epoch} is {loss}: lower pretrain.learning_rate")
    if epoch % max(1, epochs // 10) == 0 or epoch == epochs:
        print(f"{name}: epoch {epoch} of {epochs}, loss {loss:.3f}", flush=True)


def pooled(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of the tokens whose mask is on: float32 [b, t, d], bool [b, t] -> float32 [b, d]."""
    there = mask.unsqueeze(-1)
    return torch.where(there, tokens, 0).sum(1) / there.sum(1).clamp(min=1)


def _loss(model: nn.ModuleDict, batch: Batch, targets: Batch, heads: Mapping[str, Head]) -> Tensor:
    """Mean losses summed over the targets by their weights; a sample counts where it is labelled."""
    vectors = pooled(model["network"](batch), batch["mask"])
    whole = vectors.sum() * 0  # a batch without a label has a gradient too: none
    for target, truth in targets.items():
        raw = model["heads"][target](vectors)  # type: ignore[index]
        loss, count = losses.total(heads[target].target, raw, truth)
        whole = whole + heads[target].target.weight * loss / count.clamp(min=1)
    return whole
