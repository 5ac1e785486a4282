"""`train.missing: mapped`: what a missing modality would say, told from those that are there.

Between each two modalities a map y = f(x) of their mean tokens, standardised, fitted on train samples that have both, labelled
or not, before the fusion is. Only fusions fill gaps: late averaging would count what it is told twice, and the other plain
candidates are what filling has to beat.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.train.align import START, info_nce, unit
from tasks.train.fusions.pool import slot

Modal = dict[str, Tensor]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def _linear(one: int, other: int, width: int) -> nn.Module:
    return nn.Linear(one, other)


def _mlp(one: int, other: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(one, 2 * width), nn.GELU(), nn.Linear(2 * width, other))


MAPS: dict[str, Callable[[int, int, int], nn.Module]] = {"linear": _linear, "mlp": _mlp}


def _mse(told: Tensor, truth: Tensor, sharpness: Tensor) -> Tensor:
    return functional.mse_loss(told, truth)


def _cosine(told: Tensor, truth: Tensor, sharpness: Tensor) -> Tensor:
    return 1 - functional.cosine_similarity(told, truth).mean()


def _contrastive(told: Tensor, truth: Tensor, sharpness: Tensor) -> Tensor:
    return info_nce(unit(told), unit(truth), sharpness)


# Of what is told [n, d] and the truth [n, d]; the last is the learned factor of the contrastive one.
LOSSES: dict[str, Loss] = {"mse": _mse, "cosine": _cosine, "contrastive": _contrastive}


class Map(nn.Module):
    """From one modality to another: standardised mean tokens [n, d] -> [n, e]."""

    scale: Tensor
    trust: Tensor

    def __init__(self, kind: str, one: int, other: int, width: int) -> None:
        """Make a map that is not to be used until it is fitted: its trust is 0."""
        super().__init__()
        self.function = MAPS[kind](one, other, width)
        self.register_buffer("scale", torch.ones(1))  # only the mean squared error gives lengths a meaning
        self.register_buffer("trust", torch.zeros(1))

    def forward(self, vectors: Tensor) -> Tensor:
        """What the other modality would be."""
        told: Tensor = self.scale * self.function(vectors)
        return told

    def measure(self, x: Tensor, y: Tensor, held: tuple[Tensor, Tensor]) -> None:
        """Take the scale of least squares; trust is one over the mean squared error on held-out pairs.

        A map that tells no more there than the mean does is not used. Held-out pairs are validation's, as for early stopping.
        """
        said = self(x)
        self.scale.copy_((said * y).sum() / said.square().sum().clamp(min=1e-12))
        error, blind = (functional.mse_loss(told, held[1]) for told in (self(held[0]), y.mean(0).expand_as(held[1])))
        if error < blind and self.scale > 0:
            self.trust.copy_(1 / error.clamp(min=1e-6))


class Filling(nn.Module):
    """All maps, and for each modality a learned mark that is added where it was filled."""

    def __init__(self, kind: str, widths: Mapping[str, int], width: int) -> None:
        """Make maps between each two of the modalities.

        Args:
            kind: a name in `MAPS`.
            widths: modality -> features per token.
            width: of the shared space; an MLP's hidden layer has twice that.
        """
        super().__init__()
        self.modalities = tuple(sorted(widths))
        self.maps = nn.ModuleDict(
            {
                slot(one): nn.ModuleDict(
                    {slot(other): Map(kind, widths[one], widths[other], width) for other in self.modalities if other != one}
                )
                for one in self.modalities
            }
        )
        self.marks = nn.ParameterDict({slot(m): torch.zeros(width) for m in self.modalities})

    def between(self, one: str, other: str) -> Map:
        """The map from one modality to another."""
        found: Map = self.maps[slot(one)][slot(other)]  # type: ignore[index]
        return found

    def forward(self, vectors: Modal, there: Modal) -> tuple[Modal, Modal]:
        """Tell the missing modalities; where several are there, the mean of what they tell, weighted by their trust.

        In training every other row keeps its gaps, in batches that are drawn anew each epoch: a sample whose gap nothing can
        fill is not strange to the network, and what filling is worth can be measured.

        Args:
            vectors: standardised mean tokens [b, d] per modality, finite.
            there: bool [b] per modality.

        Returns:
            standardised vectors [b, d] per modality, and bool [b], where they are told.
        """
        told, filled = {}, {}
        for m in self.modalities:
            others = [other for other in self.modalities if other != m]
            weight = torch.stack([self.between(o, m).trust * there[o] for o in others])  # [M - 1, b]
            said = torch.stack([self.between(o, m)(vectors[o]) for o in others])  # [M - 1, b, d]
            total = weight.sum(0)
            told[m] = (said * weight.unsqueeze(-1)).sum(0) / total.clamp(min=1e-12).unsqueeze(-1)
            filled[m] = ~there[m] & (total > 0)
            if self.training:
                filled[m] = filled[m] & (torch.arange(len(total), device=total.device) % 2 == 0)
        return told, filled

    def marked(self, projected: Modal, mask: Modal, filled: Modal) -> Modal:
        """Add each modality's mark to its tokens [b, t, width] in the rows where it was filled, bool [b]."""
        here = {m: (filled[m][:, None] & mask[m]).unsqueeze(-1) for m in self.modalities}
        return {m: tokens + torch.where(here[m], self.marks[slot(m)], 0.0) for m, tokens in projected.items()}


class Mapped(nn.Module):
    """A map while it is fitted: its loss, and the factor that the contrastive one learns and leaves behind."""

    def __init__(self, map_: Map, loss: str) -> None:
        """Take the map."""
        super().__init__()
        self.map, self.loss = map_, LOSSES[loss]
        self.logged = nn.Parameter(torch.full((1,), START).log())

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The mean loss of pairs."""
        return self.loss(self.map.function(x), y, self.logged.exp())
