"""Low-rank tensor fusion: all products of features of different modalities, seen through a tensor of low rank."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasks.train.fusions.pool import pooled, slot

RANK = 8  # terms of the decomposition; the published networks take 4 to 16


class LowRank(nn.Module):
    """Sum, over the terms of the tensor's decomposition, of the product over modalities of `[features, 1]` times a factor.

    Liu et al., "Efficient Low-rank Multimodal Fusion with Modality-Specific Factors", ACL 2018, equation 11: what the
    tensor fusion of Zadeh et al., "Tensor Fusion Network", EMNLP 2017, computes with a weight tensor of rank RANK, without
    building it. The appended 1 is the factor's bias: it starts at 1 for every modality, so that the terms of single
    modalities are there from the beginning, and an absent modality, whose features are 0, is its bias alone.
    `product` is the form with few terms, mixed afterwards; here the terms are summed as published.

    Parameters: RANK M width² + (RANK M + RANK + 1) width for M modalities. Cost per sample:
    O(modalities · (tokens · width + RANK · width²)).
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float = 0.0, heads: int = 1) -> None:
        """Make the fusion; `heads` is attention's and unused here."""
        super().__init__()
        self.modalities = tuple(sorted(modalities))
        self.width = width
        self.factors = nn.ModuleDict({slot(m): nn.Linear(width, RANK * width) for m in self.modalities})
        self.dropout = nn.Dropout(dropout)
        self.terms = nn.Parameter(torch.zeros(RANK * width))  # weights of the terms, less 1
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """Fuse; see the package for the arguments' shapes. Returns float [b, width]."""
        factors = [1 + self.factors[slot(m)](self.dropout(pooled(tokens[m], mask[m])[0])) for m in self.modalities]
        joint = torch.stack(factors).prod(0) * (1 + self.terms)
        fused: Tensor = joint.view(-1, RANK, self.width).sum(1) / RANK**0.5 + self.bias
        return fused
