"""Recurrent fusion: one reader goes through the tokens of all modalities in the order of their time."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasks.train.fusions.pool import pooled, slot


class Recurrent(nn.Module):
    """A gated recurrent unit reads the tokens of all modalities, earliest first; of one moment, in the order of their names.

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", EMNLP
    2014 (the unit). Each token is marked with its modality. What is not there is not read: absent tokens are sorted behind
    the others, and the state is taken where those end. The mean of the states stands beside the last one, which alone would
    forget the beginning of a long sequence.

    Parameters: 8 width² + (M + 9) width for M modalities. Cost per sample: O(all tokens · width²), one after another.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float = 0.0, heads: int = 1) -> None:
        """Make the fusion; `heads` is attention's and unused here."""
        super().__init__()
        self.modalities = tuple(sorted(modalities))
        self.kind = nn.ParameterDict({slot(m): torch.zeros(width) for m in self.modalities})
        self.norm = nn.LayerNorm(width)
        self.reader = nn.GRU(width, width, batch_first=True)
        for name, parameter in self.reader.named_parameters():
            if name.startswith("bias"):  # torch draws them from its global generator, by position
                nn.init.zeros_(parameter)
        self.mix = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width, width))

    def forward(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """Fuse; see the package for the arguments' shapes. Returns float [b, width]."""
        marked = self.norm(torch.cat([tokens[m] + self.kind[slot(m)] for m in self.modalities], 1))  # [b, t, width]
        there = torch.cat([mask[m] for m in self.modalities], 1)
        moments = torch.cat([time[m] for m in self.modalities], 1)
        order = torch.where(there, moments, torch.inf).sort(dim=1, stable=True).indices
        sequence = marked.gather(1, order.unsqueeze(-1).expand_as(marked))
        states, _ = self.reader(sequence)
        ordered = there.gather(1, order)
        last = (ordered.sum(1) - 1).clamp(min=0)  # the last token that is there
        final = states.gather(1, last.view(-1, 1, 1).expand(-1, 1, states.shape[2])).squeeze(1)
        mean, present = pooled(states, ordered)
        fused: Tensor = self.mix(torch.cat([torch.where(present.unsqueeze(1), final, 0.0), mean], 1))
        return fused
