"""Late fusion: each modality decides alone, the decisions are averaged."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tasks.contracts import Features
from tasks.errors import ContractBroken
from tasks.train.card import Card, read_card
from tasks.train.inputs import present
from tasks.train.neural import Neural, Probabilities, complete


class Late:
    """The mean of the probabilities of the candidates `alone-<m>` over the modalities that a sample has.

    Kittler, Hatef, Duin, Matas, "On Combining Classifiers", TPAMI 1998: the sum rule. It bears errors of a single
    classifier better than their product, and cannot represent an interaction of modalities.
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
        there[:, ~there.any(axis=0)] = 1  # nothing at all: the mean of the priors
        weight = (there / there.sum(axis=0))[:, :, None]
        answers = [self.parts[m].predict({m: inputs[m]}) for m in inputs]
        return {t: (np.stack([answer[t] for answer in answers]) * weight).sum(axis=0) for t in self.card.targets}

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
