"""Attention fusion: one query looks at the tokens of all modalities."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.errors import WrongValue
from tasks.train.fusions.pool import slot

SHORTEST_S, LONGEST_S = 0.05, 100.0  # periods of the time encoding
LONGEST_STEPS = 10_000.0  # of the position encoding, as in the source


class Attention(nn.Module):
    """A learned query attends to the tokens of all modalities, each marked with its modality, position and time.

    Vaswani et al., "Attention Is All You Need", NeurIPS 2017 (scaled dot products, sinusoidal encoding); tokens of all
    modalities in one sequence as in Tsai et al., "Multimodal Transformer for Unaligned Multimodal Language Sequences",
    ACL 2019: nothing needs to be aligned. A pre-norm layer read at its class token needs that token's row alone, so only
    the row is computed: the same function at a cost linear, not quadratic, in the number of tokens.

    Parameters: 9 width² + (M + 11) width for M modalities. Cost per sample: O(all tokens · width²).
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float = 0.0, heads: int = 1) -> None:
        """Make the fusion.

        Raises:
            WrongValue: `width` cannot be divided among `heads`, or is odd.
        """
        super().__init__()
        if width % heads or width % 2:
            raise WrongValue(f"train.width must be even and a multiple of train.heads, got {width} and {heads}")
        self.modalities = tuple(sorted(modalities))
        self.heads, self.dropout = heads, dropout
        self.kind = nn.ParameterDict({slot(m): torch.zeros(width) for m in self.modalities})
        self.place = nn.Linear(2 * width, width, bias=False)
        self.query = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width)
        self.keys, self.values = nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """Fuse; see the package for the arguments' shapes. Returns float [b, width]."""
        q, k, v, allowed = self._asked(tokens, mask, time)
        dropout = self.dropout if self.training else 0.0
        answer = functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=dropout)
        state = self.query + self.out(answer.transpose(1, 2).flatten(1))
        fused: Tensor = state + self.mix(state)
        return fused

    def weights(self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]) -> Tensor:
        """What the query looks at, summed over a modality's tokens, mean over the heads: float [b, M]; the rest is itself."""
        q, k, _, allowed = self._asked(tokens, mask, time)
        logits = (q @ k.transpose(-2, -1)) / q.shape[-1] ** 0.5  # as scaled_dot_product_attention has it
        looks = logits.masked_fill(~allowed, -torch.inf).softmax(-1).mean(1)[:, 0, 1:]  # [b, t]
        parts = looks.split([mask[m].shape[1] for m in self.modalities], 1)
        return torch.stack([part.sum(1) for part in parts], 1)

    def _asked(
        self, tokens: dict[str, Tensor], mask: dict[str, Tensor], time: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Query [b, heads, 1, w / heads], keys and values [b, heads, 1 + t, …], and what may be seen, bool [b, 1, 1, 1 + t]."""
        marked = self.norm(torch.cat([self._marked(m, tokens[m], time[m]) for m in self.modalities], 1))  # [b, t, w]
        batch, _, width = marked.shape
        query = self.query.expand(batch, 1, width)
        seen = torch.cat([query, self.values(marked)], 1)  # the query sees itself: finite when it sees nothing else
        keys = torch.cat([query, self.keys(marked)], 1)
        there = torch.cat([mask[m] for m in self.modalities], 1)
        allowed = functional.pad(there, (1, 0), value=True)[:, None, None, :]  # [b, 1, 1, 1 + t]
        q, k, v = (part.view(batch, -1, self.heads, width // self.heads).transpose(1, 2) for part in (query, keys, seen))
        return q, k, v, allowed

    def _marked(self, modality: str, tokens: Tensor, time: Tensor) -> Tensor:
        steps, width = tokens.shape[1:]
        position = torch.arange(steps, device=tokens.device, dtype=time.dtype).expand(time.shape)
        waves = torch.cat([_waves(position, width, 6.283, LONGEST_STEPS), _waves(time, width, SHORTEST_S, LONGEST_S)], -1)
        marked: Tensor = tokens + self.kind[slot(modality)] + self.place(waves.to(tokens.dtype))
        return marked


def _waves(at: Tensor, width: int, shortest: float, longest: float) -> Tensor:
    """Sines and cosines of `at` [b, t] over `width / 2` geometrically spaced periods: [b, t, width]."""
    share = torch.linspace(0, 1, width // 2, device=at.device, dtype=at.dtype)
    phase = at.unsqueeze(-1) * (2 * torch.pi / (shortest * (longest / shortest) ** share))
    return torch.cat([phase.sin(), phase.cos()], -1)
