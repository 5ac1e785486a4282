"""Gated fusion: all modalities together say how much each of them counts, feature by feature."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasks.train.fusions.pool import pooled, slot


class Gated(nn.Module):
    """A convex mixture of the modalities that are there, with weights per feature that depend on all of them.

    Arevalo et al., "Gated Multimodal Units for Information Fusion", ICLR workshop 2017, with its form for more than two
    modalities made a softmax over those that are there: an absent one gets the weight 0, and the others share it.

    Parameters: 3 M width² + (2 M + 2) width for M modalities. Cost per sample: O(modalities · (tokens · width + width²)).
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float = 0.0, heads: int = 1) -> None:
        """Make the fusion; `heads` is attention's and unused here."""
        super().__init__()
        self.modalities = tuple(sorted(modalities))
        self.values = nn.ModuleDict({slot(m): nn.Linear(width, width) for m in self.modalities})
        self.views = nn.ModuleDict({slot(m): nn.Linear(width, width, bias=False) for m in self.modalities})
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.GELU(), nn.Dropout(dropout))
        self.gates = nn.ModuleDict({slot(m): nn.Linear(width, width) for m in self.modalities})

    def forward(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """Fuse; see the package for the arguments' shapes. Returns float [b, width]."""
        vectors = {m: pooled(tokens[m], mask[m]) for m in self.modalities}
        values = torch.stack([self.values[slot(m)](vectors[m][0]).tanh() for m in self.modalities])
        return (self._shares(vectors) * values).sum(0)

    def weights(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """Mean over the features of each modality's share in the mixture: float [b, M]."""
        return self._shares({m: pooled(tokens[m], mask[m]) for m in self.modalities}).mean(-1).T

    def _shares(self, vectors: dict[str, tuple[Tensor, Tensor]]) -> Tensor:
        """[M, b, width], of vectors [b, width] and whether they are there, bool [b]."""
        joint = self.mix(torch.stack([self.views[slot(m)](vectors[m][0]) for m in self.modalities]).sum(0))  # absent: 0
        there = torch.stack([vectors[m][1] for m in self.modalities]).unsqueeze(-1)  # [M, b, 1]
        gates = torch.stack([self.gates[slot(m)](joint) for m in self.modalities])  # [M, b, width]
        lowest = torch.finfo(gates.dtype).min  # not -inf: a sample without anything has no softmax then
        return torch.where(there, gates, lowest).softmax(0) * there
