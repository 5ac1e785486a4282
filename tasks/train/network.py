"""The network that a neural candidate is: an adapter per modality, a fusion, a linear head per target."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from tasks.params import keyed_seed
from tasks.train.fusions import FUSIONS
from tasks.train.fusions.pool import slot

Modal = dict[str, Tensor]
MEASURED = 1024  # rows looked at together


class Adapter(nn.Module):
    """Standardise a modality's tokens with the statistics of the train split, then project them to the shared width."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int, width: int, dropout: float) -> None:
        """Make an adapter for tokens of `features` numbers; the statistics are those of no data until `measure`."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(features, width)

    def measure(self, tokens: Tensor, mask: Tensor) -> None:
        """Take mean and deviation from the tokens that are there; a constant feature keeps the scale 1."""
        count = int(mask.sum())
        if count:
            total, squares = torch.zeros_like(self.mean, dtype=torch.double), torch.zeros_like(self.mean, dtype=torch.double)
            for part in _pieces(tokens, mask):  # results kept between the pieces would pin the pieces' memory
                total += part.sum(0)
            mean = total / count
            for part in _pieces(tokens, mask):
                squares += (part - mean).square_().sum(0)
            deviation = torch.sqrt(squares / count)
            self.mean.copy_(mean)
            self.scale.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Project tokens [b, t, d] to [b, t, width]; what stands where the mask is off is never computed with."""
        there = mask.unsqueeze(-1)
        standard = (torch.where(there, tokens, self.mean) - self.mean) / self.scale
        return torch.where(there, self.project(self.dropout(standard)), 0.0)


def _pieces(tokens: Tensor, mask: Tensor) -> Iterator[Tensor]:
    """The tokens that are there, float64 [k, d], of some rows at a time: no second copy of all."""
    for at in range(0, len(mask), MEASURED):
        yield tokens[at : at + MEASURED][mask[at : at + MEASURED]].double()


class Network(nn.Module):
    """Adapters, fusion, heads. Modalities and targets are names: their order changes nothing."""

    def __init__(
        self, fusion: str, widths: Mapping[str, int], sizes: Mapping[str, int], width: int, heads: int, dropout: float
    ) -> None:
        """Make a network whose weights are not yet those of `initialise`.

        Args:
            fusion: a name in `FUSIONS`.
            widths: modality -> features per token.
            sizes: target -> numbers that answer it.
            width: of the shared space.
            heads: of attention.
            dropout: on standardised features and before the heads.
        """
        super().__init__()
        self.modalities, self.targets = tuple(sorted(widths)), tuple(sorted(sizes))
        self.adapters = nn.ModuleDict({slot(m): Adapter(widths[m], width, dropout) for m in self.modalities})
        self.fusion = FUSIONS[fusion](self.modalities, width, dropout=dropout, heads=heads)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({slot(t): nn.Linear(width, sizes[t]) for t in self.targets})

    def forward(self, tokens: Modal, mask: Modal, time: Modal) -> Modal:
        """Logits [b, classes] or a standardised value [b, 1] per target; see `fused` for the arguments."""
        fused = self.dropout(self.fused(tokens, mask, time))
        return {t: self.heads[slot(t)](fused) for t in self.targets}

    def fused(self, tokens: Modal, mask: Modal, time: Modal) -> Tensor:
        """What the heads see, [b, width].

        Args:
            tokens: [b, t, d] per modality.
            mask: bool [b, t] per modality.
            time: [b, t] per modality, s.
        """
        projected = {m: self.adapters[slot(m)](tokens[m], mask[m]) for m in self.modalities}
        seconds = {m: torch.where(mask[m], time[m], 0.0) for m in self.modalities}
        fused: Tensor = self.fusion(projected, mask, seconds)
        return fused

    def initialise(self, seed: int) -> None:
        """Draw every matrix from a generator keyed by its own name; biases start at 0, scales of norms at 1.

        Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
        """
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2:
                generator = torch.Generator().manual_seed(keyed_seed(seed, "init", name))
                nn.init.xavier_uniform_(parameter, generator=generator)
            elif name.endswith("bias"):  # torch draws them from its global generator, by position
                nn.init.zeros_(parameter)

    def shift(self, logits: Mapping[str, Tensor]) -> None:
        """Add a constant [classes] to a target's logits for good."""
        with torch.no_grad():
            for target, constant in logits.items():
                self.heads[slot(target)].bias.add_(constant)  # type: ignore[operator]

    def size(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters())
