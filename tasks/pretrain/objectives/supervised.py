"""Predict the targets from the mean of the tokens."""

from collections.abc import Mapping
from types import ModuleType

import torch
from torch import Tensor, nn

from tasks import losses
from tasks.params import Pretrain
from tasks.pretrain.objectives.batch import Batch, Head, pooled
from tasks.ranks import Part


class Supervised(nn.Module):
    """Mean losses summed over the targets by their weights; a sample counts where it is labelled."""

    def __init__(self, module: ModuleType, inputs: Batch, heads: Mapping[str, Head], knobs: Pretrain) -> None:
        """Make a linear head per target; see the package for the arguments."""
        super().__init__()
        self.vary = module.augment
        self.asked = dict(sorted(heads.items()))
        self.heads = nn.ModuleDict({_slot(target): nn.Linear(knobs.width, h.width) for target, h in self.asked.items()})

    def draw(self, inputs: Batch, targets: Batch, generator: torch.Generator) -> tuple[Batch, Batch]:
        """Varied inputs, and per target what tasks/losses.py takes."""
        return self.vary(inputs, generator), targets

    def forward(self, network: nn.Module, seen: Batch, truth: Batch, part: Part) -> Tensor:
        """The loss of a batch."""
        vectors = pooled(network(seen), seen["mask"])
        whole = vectors.sum() * 0  # a batch without a label has a gradient too: none
        for target, wanted in truth.items():
            asked = self.asked[target].target
            loss, count = losses.total(asked, self.heads[_slot(target)](vectors), wanted)
            whole = whole + asked.weight * loss / part.added(count).clamp(min=1)
        return whole


def _slot(target: str) -> str:
    """A key of a ModuleDict, which may not be the name of one of its own attributes, such as `type`."""
    return f"of_{target}"
