"""A short training in front of a candidate's own: AdamW until what is held out gets no better; the best weights are kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tasks.errors import ContractBroken
from tasks.params import Train


@dataclass(frozen=True)
class Part:
    """What is fitted, to what, and by what it is judged.

    Attributes:
        name: for the message when it fails.
        module: put into training mode and back; its trained parameters move.
        taught: int64 [n], rows that teach.
        loss: the mean loss of some of these rows.
        judged: int64 [k], rows that tell the best epoch.
        held: the mean loss of some of those.
    """

    name: str
    module: nn.Module
    taught: Tensor
    loss: Callable[[Tensor], Tensor]
    judged: Tensor
    held: Callable[[Tensor], Tensor]


def fit_early(part: Part, knobs: Train, order: torch.Generator) -> int:
    """Fit in place; returns the number of steps. A training that is cut off begins again here: it is short.

    Raises:
        ContractBroken: the loss is no longer finite.
    """
    moved = [parameter for parameter in part.module.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(moved, lr=knobs.learning_rate, weight_decay=knobs.weight_decay)
    best, since, steps, kept = math.inf, 0, 0, _copied(part.module)
    for _ in range(knobs.epochs):
        part.module.train()
        for rows in torch.split(part.taught[torch.randperm(len(part.taught), generator=order)], knobs.batch):
            optimiser.zero_grad()
            part.loss(rows).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            steps += 1
        held, since = _held(part, knobs.batch), since + 1
        if not math.isfinite(held):
            raise ContractBroken(f"{part.name}: the loss is {held}: lower train.learning_rate in params.yaml")
        if held < best:
            best, since, kept = held, 0, _copied(part.module)
        if since >= knobs.patience:
            break
    part.module.load_state_dict(kept)
    part.module.eval()
    return steps


def _held(part: Part, batch: int) -> float:
    part.module.eval()
    with torch.inference_mode():
        losses = [float(part.held(rows)) * len(rows) for rows in torch.split(part.judged, batch)]
    return sum(losses) / len(part.judged)


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
