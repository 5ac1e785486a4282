"""Samples of several sites or devices: what is fused should vary alike in all of them (`train.domains: coral`).

Sun, Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", ECCV workshops 2016: a penalty beside the loss, so
that the network leans on what its domains have in common. Each step takes two of the domains, and of each as many samples
of the train split as a batch has, whether labelled or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from tasks.train.inputs import Inputs, assembled
from tasks.train.rows import Rows


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Squared Frobenius distance of the covariances of vectors [k, d] and [l, d], over 4 d²."""
    return torch.square(torch.cov(first.T) - torch.cov(second.T)).sum() / (4 * first.shape[1] ** 2)


@dataclass(frozen=True)
class Coral:
    """The samples whose domain is known.

    Attributes:
        rows: the samples, without labels.
        members: per domain, sorted by its name, the numbers of its samples, int64 [k], at least 2.
        weight: `train.coral`.
    """

    rows: Rows
    members: tuple[Tensor, ...]
    weight: float

    @classmethod
    def of(cls, inputs: Inputs, weight: float, device: str) -> "Coral | None":
        """Take samples of the train split and the unlabelled ones beside them; None where fewer than two domains are left.

        Memory: their features once more.
        """
        parts = [inputs] if inputs.unlabelled is None else [inputs, inputs.unlabelled]
        ends = np.cumsum([0, *(len(part) for part in parts)])
        features = {}
        for m in inputs.features:
            bodies = [part.features[m] for part in parts]
            places = [np.arange(start, end) for start, end in pairwise(ends)]
            steps = max(body.tokens.shape[1] for body in bodies)
            features[m] = assembled(int(ends[-1]), steps, bodies[0].tokens.shape[2], zip(places, bodies, strict=True))
        whole = Inputs(inputs.samples, features)
        domain = np.array([name for part in parts for name in part.domain], object)[whole.there]
        members = [whole.there[domain == name] for name in sorted(set(domain)) if name]
        members = [rows for rows in members if len(rows) > 1]
        if len(members) < 2:
            return None
        numbers = tuple(torch.from_numpy(rows) for rows in members)
        return cls(Rows.of(whole, (), {}, device), numbers, weight)

    def penalty(self, represent: Callable[[Rows], Tensor], size: int, generator: torch.Generator) -> Tensor:
        """The weighted distance of two domains, drawn anew each time.

        Args:
            represent: samples -> float [b, d], what is to vary alike.
            size: how many samples of each, at least 2.
            generator: on the CPU.
        """
        pair = torch.randperm(len(self.members), generator=generator)[:2].tolist()
        drawn = [self.members[place][torch.randint(len(self.members[place]), (size,), generator=generator)] for place in pair]
        vectors = represent(self.rows.take(torch.cat(drawn).to(self.rows.there.device)))
        return self.weight * distance(vectors[:size], vectors[size:])
