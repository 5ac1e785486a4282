"""What objectives do to a batch of prepared samples, whatever their kind."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.targets import Target

Batch = dict[str, Tensor]

ABOUT = ("mask", "time")  # what `prepare` says of the tokens; all else is content
STRETCHES = 8  # that a dimension is cut into: what is hidden is hidden in blocks, for a single value is guessed from the next
FEW = 4  # a dimension of at most so many places (colours, say) is hidden as a whole


@dataclass(frozen=True)
class Head:
    """What a target asks of an encoder: its loss and weight, and how many numbers answer it."""

    target: Target
    width: int


def content(inputs: Batch) -> Batch:
    """The arrays that hold what was measured, sorted by name."""
    return {key: values for key, values in sorted(inputs.items()) if key not in ABOUT}


def hidden(inputs: Batch, share: float, nothing: int, generator: torch.Generator) -> Batch:
    """Hide blocks of the content: numbers become 0, their mean over the training samples, and whole numbers `nothing`.

    Args:
        inputs: prepared samples, [b, …] each.
        share: of the blocks of each array.
        nothing: what whole numbers become.
        generator: draws the blocks, for each sample its own.
    """
    seen = dict(inputs)
    for key, values in content(inputs).items():
        alike = values.dim() == 2 and values.is_floating_point()  # a vector: its places are no neighbours
        sizes = [n if alike else 1 if n <= FEW else min(n, STRETCHES) for n in values.shape[1:]]
        off = torch.rand((len(values), *sizes), generator=generator) < share
        for dim, n in enumerate(values.shape[1:], start=1):
            off = off.index_select(dim, torch.arange(n) * off.shape[dim] // n)
        seen[key] = values.masked_fill(off, 0 if values.is_floating_point() else nothing)
    return seen


def pooled(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of the tokens whose mask is on: float32 [b, t, d], bool [b, t] -> float32 [b, d]."""
    there = mask.unsqueeze(-1)
    return torch.where(there, tokens, 0).sum(1) / there.sum(1).clamp(min=1)
