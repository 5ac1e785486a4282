"""Mean fusion: the average of the modalities that are there, then a small network around it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasks.train.fusions.pool import pooled


class Mean(nn.Module):
    """Average the pooled modalities present in each sample; add what a two-layer network makes of the average.

    Additive evidence in a shared space, as in the early fusion of Baltrušaitis, Ahuja, Morency, "Multimodal Machine
    Learning: A Survey and Taxonomy", TPAMI 2019, §5.1. The residual form (He et al., CVPR 2016) starts from plain
    additive evidence; the network behind it can still represent interactions that averaged *decisions* cannot.

    Parameters: 2 width² + 4 width, whatever the number of modalities. Cost per sample: O(modalities · tokens · width + width²).
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float = 0.0, heads: int = 1) -> None:
        """Make the fusion; `heads` is attention's and unused here."""
        super().__init__()
        self.modalities = tuple(sorted(modalities))
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
        )

    def forward(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """Fuse; see the package for the arguments' shapes. Returns float [b, width]."""
        vectors, present = zip(*(pooled(tokens[m], mask[m]) for m in self.modalities), strict=True)
        count = torch.stack(present, 1).sum(1, keepdim=True).clamp(min=1)  # [b, 1]
        average = torch.stack(vectors, 1).sum(1) / count  # absent ones are 0
        fused: Tensor = average + self.mix(average)
        return fused
