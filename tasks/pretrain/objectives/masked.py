"""Hide a share of what was prepared of a sample, and tell all of it from the tokens."""

from collections.abc import Mapping
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.params import Pretrain
from tasks.pretrain.objectives.batch import Batch, Head, content, hidden, pooled
from tasks.ranks import Part

PREDICTED = 1024  # numbers at most that stand for an array: a larger one is predicted more coarsely
HIDDEN = 256


class Masked(nn.Module):
    """Two decoders, one of the mean of the tokens and one of the tokens side by side; both are thrown away.

    He, Chen, Xie, Li, Dollár, Girshick, "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022; what was left
    visible is told as well: Vincent, Larochelle, Lajoie, Bengio, Manzagol, "Stacked Denoising Autoencoders", JMLR 2010.
    Fusions read the mean, or the tokens: each must hold what the sample is.

    Numbers are told as means over cells (Huber's loss); whole numbers, such as the pieces of a text, as how often each
    occurs (cross-entropy), for their places mean little.
    """

    def __init__(self, module: ModuleType, inputs: Batch, heads: Mapping[str, Head], knobs: Pretrain) -> None:
        """Make the decoders; see the package for the arguments."""
        super().__init__()
        self.vary, self.nothing, self.share = module.augment, getattr(module, "NOTHING", 0), knobs.hidden
        arrays = content(inputs)
        self.known = {key: int(v.max()) - self.nothing for key, v in arrays.items() if not v.is_floating_point()}
        one = self._truth({key: values[:1] for key, values in arrays.items()})
        self.sizes = {key: values.shape[1] for key, values in one.items()}
        tokens = inputs["mask"].shape[1]
        self.of_mean, self.of_tokens = (
            nn.Sequential(nn.Linear(inside, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, sum(self.sizes.values())))
            for inside in (knobs.width, knobs.width * tokens)
        )

    def draw(self, inputs: Batch, targets: Batch, generator: torch.Generator) -> tuple[Batch, Batch]:
        """Varied inputs of which a share is hidden, and per array what is to be told of it, float32 [b, numbers]."""
        whole = self.vary(inputs, generator)
        return hidden(whole, self.share, self.nothing, generator), self._truth(content(whole))

    def forward(self, network: nn.Module, seen: Batch, truth: Batch, part: Part) -> Tensor:
        """The loss of a batch."""
        tokens = torch.where(seen["mask"].unsqueeze(-1), network(seen), 0)
        told = self.of_mean(pooled(tokens, seen["mask"])), self.of_tokens(tokens.flatten(1))
        return (self._loss(told[0], truth, part.total) + self._loss(told[1], truth, part.total)) / 2

    def _truth(self, arrays: Batch) -> Batch:
        return {key: counts(v, self.nothing, self.known[key]) if key in self.known else cells(v) for key, v in arrays.items()}

    def _loss(self, told: Tensor, truth: Batch, rows: int) -> Tensor:
        """Summed over the arrays, mean over so many rows."""
        total = told.sum() * 0
        for part, (key, wanted) in zip(torch.split(told, list(self.sizes.values()), dim=1), truth.items(), strict=True):
            if key in self.known:
                total = total + functional.cross_entropy(part, wanted, reduction="sum") / rows
            else:
                total = total + functional.smooth_l1_loss(part, wanted, reduction="sum") / (rows * part.shape[1])
        return total


def cells(values: Tensor) -> Tensor:
    """Means over cells, as fine as `PREDICTED` numbers allow: float32 [b, …] -> float32 [b, numbers]."""
    sizes = list(values.shape[1:])
    while torch.Size(sizes).numel() > PREDICTED:
        largest = sizes.index(max(sizes))
        sizes[largest] = -(-sizes[largest] // 2)
    for dim, (places, size) in enumerate(zip(values.shape[1:], sizes, strict=True), start=1):
        cell = torch.arange(places) * size // places
        share = functional.one_hot(cell, size).to(values.dtype)  # [places, size]
        values = (values.movedim(dim, -1) @ (share / share.sum(0))).movedim(-1, dim)
    return values.flatten(1)


def counts(values: Tensor, nothing: int, known: int) -> Tensor:
    """Share of each number among those of a sample that are above `nothing`: int64 [b, …] -> float32 [b, known]."""
    places = values.flatten(1) - nothing  # 0: nothing
    found = torch.zeros(len(values), known + 1).scatter_add_(1, places, torch.ones(places.shape))[:, 1:]
    return found / found.sum(1, keepdim=True).clamp(min=1)
