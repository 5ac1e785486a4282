"""The training loop of an encoder: no look at anything but training rows.

One-cycle learning rate (Smith and Topin 2017, "Super-Convergence"): a fixed schedule needs no validation set to stop early.
An objective without labels has no classes to tell that it goes on for nothing: there some of the training rows are *watched*
instead of learned from, the epoch with the best loss on them is kept, and `PATIENCE` epochs without a better one are enough.
A training that was cut off goes on after the last whole epoch (tasks/checkpoint.py).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.checkpoint import Checkpoint, Training, digest
from tasks.errors import ContractBroken
from tasks.extract import Loaded
from tasks.params import Pretrain, keyed_seed
from tasks.pretrain.objectives import OBJECTIVES
from tasks.pretrain.objectives.batch import Batch, Head
from tasks.ranks import ALONE, Ranks
from tasks.steady import full, reduced

RISING = 0.2  # share of the steps in which the learning rate rises
FEWEST_STEPS = 6  # of the schedule: with fewer it has none to rise in, and divides by nothing
PATIENCE = 5  # epochs


@dataclass(frozen=True)
class Fitted:
    """A fitted encoder: the network, what preparation needs, optimiser steps, mean loss per epoch."""

    network: nn.Module
    facts: Mapping[str, Any]
    steps: int
    curve: Sequence[float]


@dataclass(frozen=True)
class Rows:
    """Prepared samples, what is known of them, and which teach and which are watched: int64 [learned], int64 [watched]."""

    inputs: Batch
    targets: Batch
    learned: Tensor
    watched: Tensor

    def take(self, chosen: Tensor) -> tuple[Batch, Batch]:
        """Inputs and targets of some samples, in this order."""
        inputs, targets = ({key: values[chosen] for key, values in part.items()} for part in (self.inputs, self.targets))
        return inputs, targets


@dataclass
class Reached:
    """Where a training stands after an epoch: its own numbers, and the network's best weights so far (none unless watched)."""

    kept: dict[str, Tensor] = field(default_factory=dict)
    epoch: int = 0
    since: int = 0  # epochs without a better loss on watched rows
    best: float = math.inf
    curve: list[float] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The numbers alone, as JSON: no best loss yet is None."""
        return {**{key: value for key, value in vars(self).items() if key != "kept"}, "best": self.best if self.kept else None}


@dataclass(frozen=True)
class How:
    """Who computes a loss, and with how many digits."""

    ranks: Ranks
    precision: str


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
    watched: npt.NDArray[np.bool_] | None = None,
    start: Loaded | None = None,
    ranks: Ranks = ALONE,
) -> Fitted:
    """Fit a kind's network to an objective.

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
        watched: bool [n], samples that tell the best epoch; None: all teach, for all epochs.
        start: an encoder of the same shape whose weights and facts it begins with; None: random weights.
        ranks: who fit it together.

    Raises:
        ContractBroken: the loss became NaN or infinite.
    """
    facts = start.card.facts if start else module.fit_facts(arrays, options)
    begun = start.network.state_dict() if start else {}
    rows = _rows(module, options, arrays, facts, labels, watched)
    torch.manual_seed(keyed_seed(seed, "pretrain", name))  # initial weights and dropout
    network = module.Encoder(options, facts, knobs.width, knobs.dropout)
    objective = OBJECTIVES[knobs.objective](module, rows.inputs, heads, knobs)
    if start:
        network.load_state_dict(begun)
    model = nn.ModuleDict({"network": network, "objective": objective}).to(device)
    ranks.align(model)
    order = torch.Generator().manual_seed(keyed_seed(seed, "order", name))
    optimiser, schedule, parts = _optimiser(model, len(rows.learned), knobs)
    training = Training(model, optimiser, order, schedule)
    how = How(ranks, knobs.precision)
    asked = {target: asdict(head) for target, head in heads.items()}
    identity = (name, asdict(knobs), seed, device, facts, vars(rows), asked, begun)
    checkpoint = Checkpoint(name, training, lambda: digest(*identity), ranks)
    reached = Reached()
    if resumed := checkpoint.resume(knobs.epochs):
        numbers, kept = resumed
        reached = Reached(kept, **{**numbers, "best": numbers["best"] if kept else math.inf})
    while reached.epoch < knobs.epochs and reached.since < PATIENCE:
        _advance(training, rows, parts, reached, keyed_seed(seed, "watched", name), how)
        _tell(name, reached, knobs.epochs)
        checkpoint.save(reached.facts(), reached.kept)
    if reached.kept:
        network.load_state_dict(reached.kept)
    return Fitted(network.eval().cpu(), facts, parts * reached.epoch, reached.curve)


def _rows(
    module: ModuleType,
    options: Any,
    arrays: Sequence[npt.NDArray[Any]],
    facts: Mapping[str, Any],
    labels: Mapping[str, npt.NDArray[Any]],
    watched: npt.NDArray[np.bool_] | None,
) -> Rows:
    prepared = [module.prepare(array, options, facts) for array in arrays]
    inputs = {key: torch.from_numpy(np.stack([row[key] for row in prepared])) for key in prepared[0]}
    targets = {target: torch.from_numpy(numbers) for target, numbers in sorted(labels.items())}
    mask = torch.zeros(len(arrays), dtype=torch.bool) if watched is None else torch.from_numpy(watched)
    return Rows(inputs, targets, torch.nonzero(~mask).squeeze(1), torch.nonzero(mask).squeeze(1))


def _advance(training: Training, rows: Rows, parts: int, reached: Reached, seed: int, how: How) -> None:
    """One epoch further."""
    reached.curve.append(_epoch(training, rows, parts, how))
    reached.epoch += 1
    if len(rows.watched):
        loss = _watched_loss(training, rows, parts, seed, how)
        reached.since += 1
        if loss < reached.best:
            network = training.model["network"]  # type: ignore[index]
            reached.best, reached.since = loss, 0
            reached.kept = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}


def _epoch(training: Training, rows: Rows, parts: int, how: How) -> float:
    """One pass over the samples in a new order; returns the mean loss."""
    training.model.train()
    total = 0.0
    order = rows.learned[torch.randperm(len(rows.learned), generator=training.order)]
    for chosen in torch.tensor_split(order, parts):
        loss = _loss(training.model, *rows.take(chosen), training.order, how)
        training.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        how.ranks.add_up(training.model)
        training.optimiser.step()
        if training.schedule:
            training.schedule.step()
        total += loss.item() * len(chosen)
    return round(how.ranks.total(total) / len(order), 6)


def _watched_loss(training: Training, rows: Rows, parts: int, seed: int, how: How) -> float:
    """Mean loss of the watched samples, of which the same is hidden every time."""
    training.model.eval()
    total, generator = 0.0, torch.Generator().manual_seed(seed)
    pieces = max(1, round(parts * len(rows.watched) / len(rows.learned)))  # of the size of the learned ones
    with torch.inference_mode():
        for chosen in torch.tensor_split(rows.watched, pieces):
            total += _loss(training.model, *rows.take(chosen), generator, how).item() * len(chosen)
    return how.ranks.total(total) / len(rows.watched)


def _loss(model: nn.Module, inputs: Batch, targets: Batch, generator: torch.Generator, how: How) -> Tensor:
    """What this rank's part adds to the mean loss of a batch."""
    network, objective = model["network"], model["objective"]  # type: ignore[index]
    device = next(model.parameters()).device
    seen, truth = objective.draw(inputs, targets, generator)
    with how.ranks.part(len(seen["mask"])) as part:
        ours = (_to(part.cut(of), device) for of in (seen, truth))
        loss: Tensor = objective(_reduced(network, how.precision), *ours, part)
    return part.counted(loss)


def _reduced(network: nn.Module, precision: str) -> Callable[[Batch], Tensor]:
    """The network with fewer digits in training, none of them missing in what it gives."""

    def forward(seen: Batch) -> Tensor:
        with reduced(precision if network.training else "fp32", seen["mask"].device.type):
            tokens: Tensor = network(seen)
        return full(tokens)

    return forward


def _to(tensors: Batch, device: torch.device) -> Batch:
    return {key: values.to(device) for key, values in tensors.items()}


def _optimiser(
    model: nn.Module, samples: int, knobs: Pretrain
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, int]:
    """AdamW with its schedule, and the number of batches per epoch.

    Batches are of nearly one size, at least 2: a last one of a single sample would have no variance to normalise by.
    """
    parts = min(math.ceil(samples / knobs.batch), max(1, samples // 2))
    optimiser = torch.optim.AdamW(model.parameters(), lr=knobs.learning_rate, weight_decay=knobs.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, knobs.learning_rate, total_steps=max(FEWEST_STEPS, parts * knobs.epochs), pct_start=RISING
    )
    return optimiser, schedule, parts


def _tell(name: str, reached: Reached, epochs: int) -> None:
    """Print about ten lines in all, and stop where there is nothing left to learn from.

    Raises:
        ContractBroken: the loss is no finite number.
    """
    epoch, loss = reached.epoch, reached.curve[-1]
    if not math.isfinite(loss):
        raise ContractBroken(f"modality {name}: the loss of epoch {epoch} is {loss}: lower pretrain.learning_rate")
    if epoch % max(1, epochs // 10) == 0 or epoch == epochs or reached.since == PATIENCE:
        watched = f", on watched samples at best {reached.best:.3f}" if reached.kept else ""
        print(f"{name}: epoch {epoch} of {epochs}, loss {loss:.3f}{watched}", flush=True)
