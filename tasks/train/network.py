"""The network that a neural candidate is: an adapter per modality, a fusion, a linear head per target."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from tasks.params import keyed_seed
from tasks.train.align import Align
from tasks.train.fusions import FUSIONS
from tasks.train.fusions.pool import pooled, slot
from tasks.train.mapping import Filling

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
        return torch.where(mask.unsqueeze(-1), self.project(self.dropout(self.standard(tokens, mask))), 0.0)

    def standard(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Standardised tokens [b, t, d], 0 where the mask is off."""
        return (torch.where(mask.unsqueeze(-1), tokens, self.mean) - self.mean) / self.scale


def _pieces(tokens: Tensor, mask: Tensor) -> Iterator[Tensor]:
    """The tokens that are there, float64 [k, d], of some rows at a time: no second copy of all."""
    for at in range(0, len(mask), MEASURED):
        yield tokens[at : at + MEASURED][mask[at : at + MEASURED]].double()


class Network(nn.Module):
    """Adapters, fusion, heads. Modalities and targets are names: their order changes nothing."""

    def __init__(
        self,
        fusion: str,
        widths: Mapping[str, int],
        sizes: Mapping[str, int],
        width: int,
        heads: int,
        dropout: float,
        align: bool = False,
        mapping: str | None = None,
    ) -> None:
        """Make a network whose weights are not yet those of `initialise`.

        Args:
            fusion: a name in `FUSIONS`.
            widths: modality -> features per token.
            sizes: target -> numbers that answer it.
            width: of the shared space.
            heads: of attention.
            dropout: on standardised features and before the heads.
            align: whether modalities are aligned in the shared space.
            mapping: a name in `MAPS`, by which gaps are filled; None: they stay masked.
        """
        super().__init__()
        self.modalities, self.targets = tuple(sorted(widths)), tuple(sorted(sizes))
        self.adapters = nn.ModuleDict({slot(m): Adapter(widths[m], width, dropout) for m in self.modalities})
        self.fusion = FUSIONS[fusion](self.modalities, width, dropout=dropout, heads=heads)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({slot(t): nn.Linear(width, sizes[t]) for t in self.targets})
        self.align = Align() if align else None
        self.filling = Filling(mapping, widths, width) if mapping else None
        self.encoders: nn.Module | None = None  # while they are fitted too (tasks/finetune): makes tokens of what it is given

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
        fused: Tensor = self.fusion(*self._projected(tokens, mask, time))
        return fused

    def weights(self, tokens: Modal, mask: Modal, time: Modal) -> Tensor | None:
        """How much of what is fused is each modality's, [b, modalities]; None of a fusion without weights. See `fused`."""
        weights: Callable[..., Tensor] | None = getattr(self.fusion, "weights", None)
        return weights(*self._projected(tokens, mask, time)) if weights else None

    def _projected(self, tokens: Modal, mask: Modal, time: Modal) -> tuple[Modal, Modal, Modal]:
        """What the fusion is given."""
        if self.encoders is not None:
            tokens = self.encoders(tokens, mask, time)
        tokens, mask, time, filled = self.filled(tokens, mask, time)
        projected = {m: self.adapters[slot(m)](tokens[m], mask[m]) for m in self.modalities}
        if self.filling is not None:
            projected = self.filling.marked(projected, mask, filled)
        return projected, mask, {m: torch.where(mask[m], time[m], 0.0) for m in self.modalities}

    def means(self, tokens: Modal, mask: Modal) -> tuple[Modal, Modal]:
        """Mean standardised tokens [b, d] per modality, and whether it is there, bool [b]."""
        vectors, there = {}, {}
        for m in self.modalities:
            standard = self.adapters[slot(m)].standard(tokens[m], mask[m])  # type: ignore[operator]
            vectors[m], there[m] = pooled(standard, mask[m])
        return vectors, there

    def filled(self, tokens: Modal, mask: Modal, time: Modal) -> tuple[Modal, Modal, Modal, Modal]:
        """Put one token where a missing modality is told from others; also which rows these are, bool [b]: none without maps.

        It stands in the middle of the times of what is there, so that no clock matters.
        """
        if self.filling is None:
            return tokens, mask, time, {}
        told, rows = self.filling(*self.means(tokens, mask))
        tokens, mask, time = dict(tokens), dict(mask), dict(time)
        middle = _middle(mask, time)
        for m in self.modalities:
            adapter, first = self.adapters[slot(m)], torch.arange(mask[m].shape[1], device=rows[m].device) == 0
            here = rows[m][:, None] & first  # [b, t]
            tokens[m] = torch.where(here[..., None], (told[m] * adapter.scale + adapter.mean)[:, None], tokens[m])
            mask[m], time[m] = mask[m] | here, torch.where(here, middle[:, None], time[m])
        return tokens, mask, time, rows

    def placed(self, modality: str, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Where one modality of samples lies in the shared space, [b, width], and whether it is there at all, bool [b]."""
        return pooled(self.adapters[slot(modality)](tokens, mask), mask)

    def apart(self, tokens: Modal, mask: Modal) -> Tensor:
        """How far the modalities of samples are from being aligned: the loss of `Align`; 0 without `align`."""
        if self.align is None:
            return torch.zeros(())
        placed = {m: self.placed(m, tokens[m], mask[m]) for m in self.modalities}
        loss: Tensor = self.align({m: vector for m, (vector, _) in placed.items()}, {m: on for m, (_, on) in placed.items()})
        return loss

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


def _middle(mask: Modal, time: Modal) -> Tensor:
    """Mean time of all tokens of a sample that are there: [b], s; 0 where none is."""
    there, seconds = (torch.cat([part[m] for m in sorted(mask)], 1) for part in (mask, time))
    return torch.where(there, seconds, 0.0).sum(1) / there.sum(1).clamp(min=1)
