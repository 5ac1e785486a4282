"""Fit one network: AdamW, modality dropout, early stopping on validation loss, the best epoch kept."""

import math
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tasks.checkpoint import Checkpoint, Training, digest
from tasks.errors import ContractBroken
from tasks.params import Train, keyed_seed
from tasks.standard import prior_of, statistics_of
from tasks.tables import labelled
from tasks.train.ahead import fit_ahead
from tasks.train.balance import Balance
from tasks.train.card import Card, described
from tasks.train.constant import constant_loss
from tasks.train.coral import Coral
from tasks.train.distil import blended
from tasks.train.epoch import epoch, loss_on
from tasks.train.inputs import Inputs
from tasks.train.network import Network
from tasks.train.neural import Answers, Neural
from tasks.train.rows import Rows
from tasks.train.task import Task

SHOWN_EVERY = 5  # epochs
EARNED = 0.95  # of a constant answer's loss: end to end it can take long until an interaction is seen at all
InFront = Callable[[Network, Rows, Rows], tuple[Rows, Rows]]
KNOB = {"train": "lower split.val and split.test", "val": "raise split.val"}  # when a split lacks samples


def fit(
    name: str,
    kind: str,
    fusion: str,
    train: Inputs,
    val: Inputs,
    task: Task,
    answers: Answers | None = None,
    in_front: InFront | None = None,
) -> Neural:
    """Fit one candidate.

    Args:
        name: of the candidate; its random numbers are keyed by it.
        kind: `fusion`, `finetune` or `alone`.
        fusion: a name in `FUSIONS`.
        train: what it is fitted on; features of the modalities that it may use.
        val: what tells the best epoch; same modalities.
        task: what all candidates share.
        answers: a teacher's, row by row of `train` (see tasks/train/distil.py); None: labels alone teach.
        in_front: puts encoders in front of the network, to be fitted with it, and gives both splits' rows as these take them;
            None: what the features are stays as it is.

    Raises:
        ContractBroken: a split has no labelled sample of a target, or the loss is no longer finite.
    """
    _check_labels(name, train, val, task)
    widths = {m: body.tokens.shape[2] for m, body in sorted(train.features.items())}
    sizes = {target: output.width for target, output in task.outputs.items()}
    knobs = task.train
    torch.manual_seed(keyed_seed(task.seed, "dropout", name))
    network = Network(fusion, widths, sizes, knobs.width, knobs.heads, knobs.dropout, **_extras(widths, kind, knobs))
    network.initialise(keyed_seed(task.seed, "candidate", name))
    known = {t: train.labels(t)[train.there] for t in sorted(task.outputs)}
    statistics = {t: statistics_of(known[t]) for t, output in sorted(task.outputs.items()) if output.is_number}
    prior = {t: prior_of(labels, sizes[t]) for t, labels in known.items() if t not in statistics}
    rows = Rows.of(train, task.outputs, statistics, task.device)
    rows = blended(rows, answers, knobs.distil, task.outputs, statistics) if answers else rows
    network.to(task.device)
    for modality, adapter in zip(network.modalities, network.adapters.values(), strict=True):
        adapter.measure(rows.tokens[modality], rows.mask[modality])  # type: ignore[operator]
    held = Rows.of(val, task.outputs, statistics, task.device)
    ahead = fit_ahead(name, network, rows, held, knobs, task.seed)
    if network.align is None:
        rows = rows.labelled()
    one_of = {t: train.labels(t)[rows.there.cpu().numpy()] for t in prior if not task.outputs[t].is_set}
    balance = Balance.of(knobs.balance, one_of, prior, task.device)
    coral = Coral.of(train, knobs.coral, task.device) if knobs.domains == "coral" else None
    if in_front:
        rows, held = in_front(network, rows, held)
        task = replace(task, earned=EARNED * constant_loss(held, prior, task.targets))
    kept_as = f"{name}-taught" if answers else name  # a pupil's checkpoint is not that of what it was before
    steps, curve = _descend(name, kept_as, network, rows, held, balance, coral, task)
    network.shift(balance.shift)
    settings: dict[str, Any] = {
        "fusion": fusion,
        "width": knobs.width,
        "heads": knobs.heads,
        "dropout": knobs.dropout,
        "prior": prior,
    }
    settings |= {"statistics": statistics} if statistics else {}
    settings |= _extras(widths, kind, knobs)
    card = Card(name, kind, list(widths), widths, described(task.outputs), network.size(), ahead + steps, curve, settings)
    return Neural(card, network.cpu())


def _extras(modalities: Collection[str], kind: str, knobs: Train) -> dict[str, Any]:
    """What a fusion of several modalities has beside adapters, fusion and heads."""
    asked = {"align": knobs.align > 0, "mapping": knobs.missing == "mapped" and knobs.mapping}
    return {name: value for name, value in asked.items() if value and kind == "fusion" and len(modalities) > 1}


def _check_labels(name: str, train: Inputs, val: Inputs, task: Task) -> None:
    for split, inputs in {"train": train, "val": val}.items():
        for target in task.targets:
            if not labelled(inputs.labels(target)[inputs.there]).any():
                raise ContractBroken(
                    f"{name}: no sample of split {split} is labelled in {target} (with {', '.join(sorted(inputs.features))}):"
                    f" land labelled samples, or {KNOB[split]} in params.yaml"
                )


@dataclass
class Reached:
    """Where the descent stands after an epoch: its own numbers, and the best weights so far."""

    kept: dict[str, Tensor]
    epoch: int = 0
    since: int = 0  # epochs without a better validation loss
    steps: int = 0
    best: float = math.inf
    curve: list[dict[str, float]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The numbers alone."""
        return {key: value for key, value in vars(self).items() if key != "kept"}


def _descend(
    name: str, kept_as: str, network: Network, train: Rows, val: Rows, balance: Balance, coral: Coral | None, task: Task
) -> tuple[int, list[dict[str, float]]]:
    """Fit in place; returns the number of optimiser steps and the losses by epoch."""
    knobs = task.train
    optimiser = torch.optim.AdamW(network.parameters(), lr=knobs.learning_rate, weight_decay=knobs.weight_decay)
    order = torch.Generator().manual_seed(keyed_seed(task.seed, "order", name))
    training = Training(network, optimiser, order)
    task.ranks.align(network)
    checkpoint = Checkpoint(kept_as, training, lambda: _identity(network, train, val, coral, task), task.ranks)
    reached = Reached(_copied(network))
    if resumed := checkpoint.resume(knobs.epochs):
        facts, kept = resumed
        reached = Reached(kept, **facts)
    while reached.epoch < knobs.epochs and reached.since < knobs.patience:
        _advance(name, network, training, train, val, balance, coral, task, reached)
        checkpoint.save(reached.facts(), reached.kept)
    network.load_state_dict(reached.kept)
    return reached.steps, reached.curve


def _advance(
    name: str,
    network: Network,
    training: Training,
    train: Rows,
    val: Rows,
    balance: Balance,
    coral: Coral | None,
    task: Task,
    reached: Reached,
) -> None:
    """One epoch further.

    Raises:
        ContractBroken: the loss is no longer finite.
    """
    knobs = task.train
    train_loss, done = epoch(network, training, train, balance, coral, task)
    val_loss = loss_on(network, val, balance, task)
    reached.epoch += 1
    reached.steps += done
    if not math.isfinite(train_loss + val_loss):
        raise ContractBroken(
            f"{name}: the loss is {train_loss} in epoch {reached.epoch}: lower train.learning_rate in params.yaml"
        )
    reached.curve.append({"epoch": reached.epoch, "train_loss": round(train_loss, 6), "val_loss": round(val_loss, 6)})
    reached.since += reached.best < task.earned
    if val_loss < reached.best:
        reached.best, reached.since, reached.kept = val_loss, 0, _copied(network)
    if reached.epoch % SHOWN_EVERY == 0 or reached.since >= knobs.patience:
        print(f"{name}: epoch {reached.epoch}/{knobs.epochs}, loss {train_loss:.3f}, validation {val_loss:.3f}", flush=True)


def _copied(network: Network) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


def _identity(network: Network, train: Rows, val: Rows, coral: Coral | None, task: Task) -> str:
    """A digest of all that a descent depends on, the network's initial weights among it."""
    knobs = [asdict(task.train), {t: asdict(target) for t, target in sorted(task.targets.items())}, task.seed, task.device]
    beside = [vars(coral.rows), *coral.members] if coral else []
    return digest(knobs, network.state_dict(), *(vars(rows) for rows in (train, val)), *beside)
