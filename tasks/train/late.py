"""Late averaging: each modality decides alone, then the logarithms of the decisions are combined."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken
from tasks.features import Features
from tasks.train.card import Card, read_card
from tasks.train.inputs import present
from tasks.train.neural import Neural, Probabilities, complete

Array = npt.NDArray[np.float64]
SURE = 1e-4  # no modality may rule a class out: the product would let it overrule all others


class Late:
    """The candidates `alone-<m>` vote: log-probabilities relative to the prior are added up over what a sample has.

    Kittler, Hatef, Duin, Matas, "On Combining Classifiers", TPAMI 1998, equation 7, the product rule: right when the
    modalities are independent given the class. Averaging the probabilities themselves (their sum rule) was tried and
    loses 5 points on av-digits. Neither can represent an interaction of modalities.
    """

    def __init__(self, card: Card, parts: Mapping[str, Neural]) -> None:
        """Take one fitted candidate per modality."""
        self.card, self.parts = card, dict(parts)

    @classmethod
    def of(cls, parts: Sequence[Neural]) -> "Late":
        """Combine candidates that were fitted alone: nothing is left to fit."""
        by_modality = {part.card.modalities[0]: part for part in parts}
        cards = {m: by_modality[m].card for m in sorted(by_modality)}
        card = Card(
            name="late",
            kind="late",
            modalities=list(cards),
            widths={m: card.widths[m] for m, card in cards.items()},
            targets=next(iter(cards.values())).targets,
            parameters=sum(card.parameters for card in cards.values()),
            steps=0,
            curve=[],
            settings={"parts": {m: card.name for m, card in cards.items()}},
        )
        return cls(card, by_modality)

    def predict(self, features: Mapping[str, Features]) -> Probabilities:
        """Probabilities float64 [n, classes] per target; see `Neural.predict` for arguments and errors."""
        inputs = complete(features, self.card)
        there = np.stack([present(inputs[m]) for m in inputs]).astype(np.float64)  # [modalities, n]
        there[:, ~there.any(axis=0)] = 1  # nothing at all: each part answers its prior
        answers = [self.parts[m].predict({m: inputs[m]}) for m in inputs]
        priors = {t: [self.parts[m].card.settings["prior"][t] for m in inputs] for t in self.card.targets}
        return {t: _product(np.stack([a[t] for a in answers]), np.array(priors[t]), there) for t in self.card.targets}

    def save(self, folder: Path) -> None:
        """Write candidate.json, and each part into a folder of its own inside."""
        self.card.write(folder)
        for part in self.parts.values():
            part.save(folder / part.card.name)

    @classmethod
    def load(cls, folder: Path) -> "Late":
        """Read what `save` wrote.

        Raises:
            ContractBroken: a part is missing, or fitted on other modalities or targets.
        """
        card = read_card(folder)
        names = {m: f"alone-{m}" for m in card.modalities}  # never a path that the card chooses
        if card.settings != {"parts": names}:
            raise ContractBroken(f"{folder}: the settings of late fusion must name the parts {', '.join(names.values())}")
        parts = {m: Neural.load(folder / name) for m, name in names.items()}
        for m, part in parts.items():
            if part.card.widths != {m: card.widths[m]} or part.card.targets != card.targets:
                raise ContractBroken(f"{folder / names[m]} was fitted on other modalities or targets than {folder}")
        return cls(card, parts)


def _product(answers: Array, priors: Array, there: Array) -> Array:
    """Combine answers [m, n, classes] with priors [m, classes] over the modalities that are there, [m, n] of 0 and 1."""
    prior = np.log(np.maximum(priors, SURE))[:, None]  # [m, 1, classes]
    evidence = np.log(np.maximum(answers, SURE)) - prior
    weight = there[:, :, None]
    votes = (evidence * weight).sum(axis=0) + (prior * weight).sum(axis=0) / weight.sum(axis=0)
    powers = np.exp(votes - votes.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
