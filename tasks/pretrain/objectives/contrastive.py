"""Tell a sample's other view from the views of all other samples."""

from collections.abc import Mapping
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.params import Pretrain
from tasks.pretrain.objectives.batch import Batch, Head, hidden, pooled
from tasks.ranks import Part

LOST = 0.25  # share of a view that is hidden, beside what the kind's `augment` does


class Contrastive(nn.Module):
    """NT-Xent over the two views of each sample of a batch, on a projection that is thrown away.

    Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
    The temperature is fixed, as there.
    """

    def __init__(self, module: ModuleType, inputs: Batch, heads: Mapping[str, Head], knobs: Pretrain) -> None:
        """Make the projection; see the package for the arguments."""
        super().__init__()
        self.vary, self.nothing = module.augment, getattr(module, "NOTHING", 0)
        self.temperature = knobs.temperature
        self.project = nn.Sequential(nn.Linear(knobs.width, knobs.width), nn.ReLU(), nn.Linear(knobs.width, knobs.width))

    def draw(self, inputs: Batch, targets: Batch, generator: torch.Generator) -> tuple[Batch, Batch]:
        """Both views of b samples, one behind the other: [2 b, …]; the truth is their place."""
        views = [hidden(self.vary(inputs, generator), LOST, self.nothing, generator) for _ in range(2)]
        return {key: torch.cat([view[key] for view in views]) for key in inputs}, {}

    def forward(self, network: nn.Module, seen: Batch, truth: Batch, part: Part) -> Tensor:
        """The loss of a batch."""
        vectors = functional.normalize(self.project(pooled(network(seen), seen["mask"])), dim=1)
        return nt_xent(vectors, self.temperature, part)


def nt_xent(vectors: Tensor, temperature: float, part: Part) -> Tensor:
    """Mean over all views of the cross-entropy of finding the partner among the others.

    Args:
        vectors: float32 [k, d] of length 1, the part's rows of [2 b, d], where i and i + b are views of one sample.
        temperature: what their products are divided by.
        part: which rows they are; the others are gathered from all ranks.
    """
    count, ours = part.total, slice(part.begin, part.end)
    itself = torch.eye(count, dtype=torch.bool, device=vectors.device)[ours]
    near = (vectors @ part.gathered(vectors).T / temperature).masked_fill(itself, -torch.inf)
    partners = torch.arange(count, device=vectors.device).roll(count // 2)[ours]
    return functional.cross_entropy(near, partners, reduction="sum") / count
