"""Fit one network: AdamW, modality dropout, early stopping on validation loss, the best epoch kept."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tasks.errors import ContractBroken
from tasks.params import Target, Train, keyed_seed
from tasks.train.card import Card, described
from tasks.train.inputs import UNLABELLED, Inputs
from tasks.train.network import Modal, Network
from tasks.train.neural import Neural

SHOWN_EVERY = 5  # epochs


@dataclass(frozen=True)
class Task:
    """What every candidate of a run shares.

    Attributes:
        classes: target -> names of its classes.
        targets: the same targets' losses and weights.
        train: the knobs.
        seed: of the run; what is drawn is keyed by purpose and name.
        device: where it is computed.
    """

    classes: Mapping[str, tuple[str, ...]]
    targets: Mapping[str, Target]
    train: Train
    seed: int
    device: str


@dataclass(frozen=True)
class Rows:
    """Samples as tensors: tokens float32 [n, t, d], mask bool [n, t] and time float32 [n, t] per modality, labels int64 [n]."""

    tokens: Modal
    mask: Modal
    time: Modal
    labels: Modal

    @classmethod
    def of(cls, inputs: Inputs, targets: Mapping[str, Target], device: str) -> "Rows":
        """Copy samples to a device."""
        features = sorted(inputs.features.items())
        return cls(
            {m: torch.from_numpy(body.tokens).to(device) for m, body in features},
            {m: torch.from_numpy(body.mask).to(device) for m, body in features},
            {m: torch.from_numpy(body.time).to(device) for m, body in features},
            {t: torch.from_numpy(inputs.labels(t)).to(device) for t in sorted(targets)},
        )

    def take(self, index: Tensor) -> "Rows":
        """Some of the samples, in this order."""
        return Rows(
            *({name: x[index] for name, x in part.items()} for part in (self.tokens, self.mask, self.time, self.labels))
        )

    def dropping(self, share: float, generator: torch.Generator) -> "Rows":
        """Hide each present modality with probability `share`, but never all of a sample's.

        Neverova, Wolf, Taylor, Nebout, "ModDrop: Adaptive Multi-modal Gesture Recognition", TPAMI 2016: the network
        learns to do with what is there, and not to lean on the modality that it overfitted first.
        """
        there = torch.stack([self.mask[m].any(1) for m in self.mask], 1)  # [b, modalities]
        kept = there & (torch.rand(there.shape, generator=generator).to(there.device) >= share)
        kept = torch.where(kept.any(1, keepdim=True), kept, there)
        mask = {m: self.mask[m] & kept[:, i : i + 1] for i, m in enumerate(self.mask)}
        return Rows(self.tokens, mask, self.time, self.labels)


def fit(name: str, kind: str, fusion: str, train: Inputs, val: Inputs, task: Task) -> Neural:
    """Fit one candidate.

    Args:
        name: of the candidate; its random numbers are keyed by it.
        kind: `fusion` or `alone`.
        fusion: a name in `FUSIONS`.
        train: what it is fitted on; features of the modalities that it may use.
        val: what tells the best epoch; same modalities.
        task: what all candidates share.

    Raises:
        ContractBroken: a split has no labelled sample of a target, or the loss is no longer finite.
    """
    _check_labels(name, train, val, task)
    widths = {m: body.tokens.shape[2] for m, body in sorted(train.features.items())}
    sizes = {target: len(names) for target, names in task.classes.items()}
    knobs = task.train
    torch.manual_seed(keyed_seed(task.seed, "dropout", name))
    network = Network(fusion, widths, sizes, knobs.width, knobs.heads, knobs.dropout)
    network.initialise(keyed_seed(task.seed, "candidate", name))
    rows = Rows.of(train, task.targets, task.device)
    network.to(task.device)
    for modality, adapter in zip(network.modalities, network.adapters.values(), strict=True):
        adapter.measure(rows.tokens[modality], rows.mask[modality])  # type: ignore[operator]
    steps, curve = _descend(name, network, rows, Rows.of(val, task.targets, task.device), task)
    prior = {t: prior_of(train.labels(t), sizes[t]) for t in sorted(sizes)}
    settings = {"fusion": fusion, "width": knobs.width, "heads": knobs.heads, "dropout": knobs.dropout, "prior": prior}
    card = Card(name, kind, list(widths), widths, described(task.classes), network.size(), steps, curve, settings)
    return Neural(card, network.cpu())


def prior_of(labels: npt.NDArray[np.int64], classes: int) -> list[float]:
    """Share of each class among the labelled."""
    counts = np.bincount(labels[labels != UNLABELLED], minlength=classes)
    return [float(share) for share in counts / counts.sum()]


def _check_labels(name: str, train: Inputs, val: Inputs, task: Task) -> None:
    for split, inputs in {"train": train, "val": val}.items():
        for target in task.targets:
            if not (inputs.labels(target) != UNLABELLED).any():
                raise ContractBroken(
                    f"{name}: no sample of split {split} is labelled in {target} (with {', '.join(sorted(inputs.features))}):"
                    f" land labelled samples, or raise split.{split if split == 'val' else 'val and split.test'} in params.yaml"
                )


def _descend(name: str, network: Network, train: Rows, val: Rows, task: Task) -> tuple[int, list[dict[str, float]]]:
    """Fit in place; returns the number of optimiser steps and the losses by epoch."""
    knobs = task.train
    optimiser = torch.optim.AdamW(network.parameters(), lr=knobs.learning_rate, weight_decay=knobs.weight_decay)
    generator = torch.Generator().manual_seed(keyed_seed(task.seed, "order", name))
    best, since, steps = math.inf, 0, 0
    kept = {key: value.clone() for key, value in network.state_dict().items()}
    curve: list[dict[str, float]] = []
    for epoch in range(1, knobs.epochs + 1):
        train_loss, done = _epoch(network, optimiser, train, task, generator)
        val_loss = _loss_on(network, val, task)
        steps += done
        if not math.isfinite(train_loss + val_loss):
            raise ContractBroken(f"{name}: the loss is {train_loss} in epoch {epoch}: lower train.learning_rate in params.yaml")
        curve.append({"epoch": epoch, "train_loss": round(train_loss, 6), "val_loss": round(val_loss, 6)})
        since += 1
        if val_loss < best:
            best, since = val_loss, 0
            kept = {key: value.clone() for key, value in network.state_dict().items()}
        if epoch % SHOWN_EVERY == 0 or since >= knobs.patience:
            print(f"{name}: epoch {epoch}/{knobs.epochs}, loss {train_loss:.3f}, validation {val_loss:.3f}", flush=True)
        if since >= knobs.patience:
            break
    network.load_state_dict(kept)
    return steps, curve


def _epoch(
    network: Network, optimiser: torch.optim.Optimizer, train: Rows, task: Task, generator: torch.Generator
) -> tuple[float, int]:
    """One pass over the train split in a new order: mean loss and number of steps."""
    network.train()
    device = next(network.parameters()).device
    total, batches = 0.0, list(_batches(train, task.train.batch, generator))
    for index in batches:
        batch = train.take(index.to(device)).dropping(task.train.modality_dropout, generator)
        loss = _loss(network, batch, task.targets)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.item()
    return total / len(batches), len(batches)


def _batches(rows: Rows, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    count = len(next(iter(rows.labels.values())))
    return torch.split(torch.randperm(count, generator=generator), size)


def _loss(network: Network, rows: Rows, targets: Mapping[str, Target]) -> Tensor:
    """Weighted sum over targets of the mean cross-entropy of the labelled; 0 where none is."""
    logits = network(rows.tokens, rows.mask, rows.time)
    total = torch.zeros((), device=next(iter(logits.values())).device)
    for name, target in sorted(targets.items()):
        labelled = (rows.labels[name] != UNLABELLED).sum().clamp(min=1)
        total = total + target.weight * functional.cross_entropy(logits[name], rows.labels[name], reduction="sum") / labelled
    return total


def _loss_on(network: Network, rows: Rows, task: Task) -> float:
    network.eval()
    with torch.inference_mode():
        return float(_loss(network, rows, task.targets))
