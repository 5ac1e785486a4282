"""Product fusion: modalities multiply, so that one can gate another."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasks.train.fusions.pool import pooled, slot

RANK = 2  # products that are summed; more bring parameters, and on frozen features no accuracy


class Product(nn.Module):
    """Multiply `1 + projection` over the modalities that are there, for each of a few factors, and mix the products.

    The tensor fusion of Zadeh et al., "Tensor Fusion Network", EMNLP 2017, holds all products of features of different
    modalities; Liu et al., "Efficient Low-rank Multimodal Fusion with Modality-Specific Factors", ACL 2018, show that a
    sum of elementwise products of one projection per modality is its low-rank form and never builds the tensor. The 1 is
    their appended constant: it keeps the terms of single modalities, and makes an absent one neutral.

    Parameters: RANK (M + 1) width² + (RANK M + 2 RANK + 1) width for M modalities. Cost per sample:
    O(modalities · (tokens · width + RANK width²)), linear in the number of modalities where the tensor's is exponential.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float = 0.0, heads: int = 1) -> None:
        """Make the fusion; `heads` is attention's and unused here."""
        super().__init__()
        self.modalities = tuple(sorted(modalities))
        self.factors = nn.ModuleDict({slot(m): nn.Linear(width, RANK * width) for m in self.modalities})
        self.mix = nn.Sequential(nn.LayerNorm(RANK * width), nn.Dropout(dropout), nn.Linear(RANK * width, width))

    def forward(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """Fuse; see the package for the arguments' shapes. Returns float [b, width]."""
        joint = torch.stack([self._factor(m, *pooled(tokens[m], mask[m])) for m in self.modalities]).prod(0)
        fused: Tensor = self.mix(joint)
        return fused

    def _factor(self, modality: str, vector: Tensor, present: Tensor) -> Tensor:
        factor = 1 + self.factors[slot(modality)](vector)  # [b, RANK * width]
        return torch.where(present.unsqueeze(1), factor, torch.ones_like(factor))
