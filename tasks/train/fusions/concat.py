"""Concatenation: the pooled modalities side by side, then a two-layer network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasks.train.fusions.pool import pooled, slot


class Concat(nn.Module):
    """Concatenate the pooled modalities, a learned vector standing in for an absent one, and mix them with two layers.

    Early fusion by concatenation: Baltrušaitis, Ahuja, Morency, "Multimodal Machine Learning: A Survey and Taxonomy",
    TPAMI 2019, §5.1. The first layer over the concatenation is written as a sum of one linear map per modality, which is
    the same function, so that each map belongs to a name and not to a position.

    Parameters: (M + 1) width² + (M + 3) width for M modalities. Cost per sample: O(modalities · (tokens · width + width²)).
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float = 0.0, heads: int = 1) -> None:
        """Make the fusion; `heads` is attention's and unused here."""
        super().__init__()
        self.modalities = tuple(sorted(modalities))
        self.absent = nn.ParameterDict({slot(m): torch.zeros(width) for m in self.modalities})
        self.maps = nn.ModuleDict({slot(m): nn.Linear(width, width, bias=False) for m in self.modalities})
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width))

    def forward(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """Fuse; see the package for the arguments' shapes. Returns float [b, width]."""
        joint = torch.stack([self._map(m, *pooled(tokens[m], mask[m])) for m in self.modalities]).sum(0)
        fused: Tensor = self.mix(joint)
        return fused

    def _map(self, modality: str, vector: Tensor, present: Tensor) -> Tensor:
        stand_in = self.absent[slot(modality)].expand_as(vector)
        mapped: Tensor = self.maps[slot(modality)](torch.where(present.unsqueeze(1), vector, stand_in))
        return mapped
