"""Convolutional fusion: modalities are laid on one grid of time, and a filter looks at all of them moment by moment."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.train.fusions.pool import pooled, slot

CELLS = 8  # of the grid, from a sample's first token to its last
REACH = 3  # cells that a filter sees


class Convolutional(nn.Module):
    """Average each modality's tokens in each cell of a common grid of time, map, sum, and convolve twice over the cells.

    A one-dimensional convolution over aligned time, as in Bai, Kolter, Koltun, "An Empirical Evaluation of Generic
    Convolutional and Recurrent Networks for Sequence Modeling", 2018, with modalities as channels: the first layer over all
    channels is a sum of one map per modality, so that each belongs to a name. What has no time (all tokens at 0 s) lies in
    the first cell. Cells without any token are passed over at the end.

    Parameters: (M + 6) width² + 4 width for M modalities. Cost per sample: O(all tokens · width + cells · M · width²).
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float = 0.0, heads: int = 1) -> None:
        """Make the fusion; `heads` is attention's and unused here."""
        super().__init__()
        self.modalities = tuple(sorted(modalities))
        self.maps = nn.ModuleDict({slot(m): nn.Linear(width, width, bias=False) for m in self.modalities})
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.filters = nn.ModuleList([nn.Conv1d(width, width, REACH, padding=REACH // 2) for _ in range(2)])

    def forward(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """Fuse; see the package for the arguments' shapes. Returns float [b, width]."""
        begin, span = self._span(mask, time)
        laid, taken = [], []
        for m in self.modalities:
            place = ((time[m] - begin) / span * CELLS).clamp(0, CELLS - 1).long()  # [b, t]
            inside = functional.one_hot(place, CELLS).to(tokens[m].dtype) * mask[m].unsqueeze(-1)  # [b, t, cells]
            count = inside.sum(1)  # [b, cells]
            laid.append(self.maps[slot(m)](inside.transpose(1, 2) @ tokens[m] / count.clamp(min=1).unsqueeze(-1)))
            taken.append(count > 0)
        there = torch.stack(taken).any(0)  # [b, cells]
        cells = torch.where(there.unsqueeze(-1), functional.gelu(self.norm(torch.stack(laid).sum(0))), 0.0)
        for layer in self.filters:
            found = functional.gelu(layer(self.dropout(cells).transpose(1, 2)).transpose(1, 2))
            cells = torch.where(there.unsqueeze(-1), cells + found, 0.0)
        return pooled(cells, there)[0]

    def _span(self, mask: dict[str, Tensor], time: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """When each sample begins and how long it lasts, over all modalities: float [b, 1], s."""
        there = torch.cat([mask[m] for m in self.modalities], 1)
        moments = torch.cat([time[m] for m in self.modalities], 1)
        first = torch.where(there, moments, torch.inf).amin(1, keepdim=True)
        last = torch.where(there, moments, -torch.inf).amax(1, keepdim=True)
        some = there.any(1, keepdim=True)
        first, last = torch.where(some, first, 0.0), torch.where(some, last, 0.0)
        return first, torch.where(last > first, last - first, 1.0)
