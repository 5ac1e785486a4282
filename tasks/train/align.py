"""`train.align`: modalities of one sample find each other in the shared space, which their adapters map to.

It needs no label, so samples without one teach it too. The encoders are frozen; what is aligned are the mean tokens behind the
adapters, where the modalities of a sample first meet: before the heads are fitted, and beside them as an added loss. Only a
fusion has several modalities: the plain candidates stay as they are.
"""

import math
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

START, SHARPEST = 1 / 0.07, 100.0  # of the learned factor, 1 / temperature, as in the source


class Align(nn.Module):
    """Symmetric InfoNCE between each two modalities that samples have, with a learned temperature.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021, §2.3; the loss itself
    is that of van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018. The others of a
    batch are what a sample must be told from.
    """

    def __init__(self) -> None:
        """Start with the source's temperature."""
        super().__init__()
        self.logged = nn.Parameter(torch.full((1,), math.log(START)))

    @property
    def sharpness(self) -> Tensor:
        """What cosines are multiplied with, [1]."""
        return self.logged.exp().clamp(max=SHARPEST)

    def forward(self, vectors: dict[str, Tensor], there: dict[str, Tensor]) -> Tensor:
        """Mean over the pairs of modalities that at least two samples have both of; 0 where there is none.

        Args:
            vectors: [b, width] per modality, finite.
            there: bool [b] per modality.
        """
        losses = [self.logged.sum() * 0]
        for one, other in combinations(sorted(vectors), 2):
            both = there[one] & there[other]
            if int(both.sum()) > 1:
                losses.append(info_nce(unit(vectors[one][both]), unit(vectors[other][both]), self.sharpness))
        return torch.stack(losses).sum() / max(1, len(losses) - 1)


def info_nce(left: Tensor, right: Tensor, sharpness: Tensor) -> Tensor:
    """Mean cross-entropy of finding each row's partner among the rows of the other side, both ways.

    Args:
        left: [n, d], of length 1.
        right: the same; rows of one number are partners.
        sharpness: what their products are multiplied with.
    """
    near = left @ right.T * sharpness
    partner = torch.arange(len(near), device=near.device)
    return (functional.cross_entropy(near, partner) + functional.cross_entropy(near.T, partner)) / 2


def unit(vectors: Tensor) -> Tensor:
    """Rows of length 1."""
    return functional.normalize(vectors, dim=1)
