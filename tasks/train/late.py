"""Late averaging: each modality answers alone, then the answers are combined by how much each knows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken
from tasks.features import Features
from tasks.tables import labelled
from tasks.train.card import Card, are_statistics, read_card
from tasks.train.inputs import Inputs, present
from tasks.train.neural import Answers, Neural, complete

Array = npt.NDArray[np.float64]
SURE = 1e-4  # no modality may rule a class out: the product would let it overrule all others
EXACT = 1e-2  # of a deviation: no modality's error is taken for smaller, for the same reason


class Late:
    """The candidates `alone-<m>` vote: log-probabilities relative to the prior are added up over what a sample has.

    Kittler, Hatef, Duin, Matas, "On Combining Classifiers", TPAMI 1998, equation 7, the product rule: right when the
    modalities are independent given the class. Averaging the probabilities themselves (their sum rule) was tried and
    loses 5 points on av-digits. Neither can represent an interaction of modalities.

    Values are combined by the same rule, each taken for a normal distribution around the answer, as wide as the modality's
    error on validation data: a mean weighted by inverse variances, less the prior's that all share. Tresp, "A Bayesian
    Committee Machine", Neural Computation 2000.
    """

    def __init__(self, card: Card, parts: Mapping[str, Neural]) -> None:
        """Take one fitted candidate per modality."""
        self.card, self.parts = card, dict(parts)

    @classmethod
    def of(cls, parts: Sequence[Neural], val: Inputs) -> "Late":
        """Combine candidates that were fitted alone: nothing is left to fit but the errors of values."""
        by_modality = {part.card.modalities[0]: part for part in parts}
        cards = {m: by_modality[m].card for m in sorted(by_modality)}
        errors = {m: _errors(part, val.only(m)) for m, part in sorted(by_modality.items())}
        card = Card(
            name="late",
            kind="late",
            modalities=list(cards),
            widths={m: card.widths[m] for m, card in cards.items()},
            targets=next(iter(cards.values())).targets,
            parameters=sum(card.parameters for card in cards.values()),
            steps=0,
            curve=[],
            settings={"parts": {m: card.name for m, card in cards.items()}}
            | ({"errors": errors} if any(errors.values()) else {}),
        )
        return cls(card, by_modality)

    def predict(self, features: Mapping[str, Features]) -> Answers:
        """Per target probabilities float64 [n, classes] or values [n, 1]; see `Neural.predict` for arguments and errors."""
        inputs = complete(features, self.card)
        there = np.stack([present(inputs[m]) for m in inputs]).astype(np.float64)  # [modalities, n]
        there[:, ~there.any(axis=0)] = 1  # nothing at all: each part answers its prior
        answers = [self.parts[m].predict({m: inputs[m]}) for m in inputs]
        return {t: self._combined(t, np.stack([a[t] for a in answers]), there) for t in self.card.targets}

    def _combined(self, target: str, answers: Array, there: Array) -> Array:
        """One target's answers [m, n, width], modalities by name, as one [n, width]."""
        settings = [self.parts[m].card.settings for m in self.card.modalities]
        if self.card.outputs[target].is_set:
            prior = _either(np.array([of["prior"][target] for of in settings]))
            each = _either(answers)
            return np.stack([_product(each[:, :, i], prior[:, i], there)[:, 0] for i in range(answers.shape[2])], axis=1)
        if target not in self.card.values:
            return _product(answers, np.array([of["prior"][target] for of in settings]), there)
        mean, deviation = (np.array([of["statistics"][target][name] for of in settings]) for name in ("mean", "deviation"))
        error = np.array([self.card.settings["errors"][m][target] for m in self.card.modalities])
        return _committee(answers, mean, deviation, error, there)

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
        settings = {**card.settings}
        if card.values and not are_statistics(settings.pop("errors", None), card.modalities, card.values):
            raise ContractBroken(f"{folder}: the settings of late fusion must hold the errors of {', '.join(card.values)}")
        if settings != {"parts": names}:
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


def _either(probabilities: Array) -> Array:
    """Probabilities [...] as those of yes and no [..., 2]."""
    return np.stack([probabilities, 1 - probabilities], axis=-1)


def _committee(answers: Array, means: Array, deviations: Array, errors: Array, there: Array) -> Array:
    """Combine values [m, n, 1] over the modalities that are there, [m, n] of 0 and 1; means, deviations and errors are [m].

    What a modality knows beyond the prior is its answer's precision less the prior's: none where its error is no smaller.
    """
    centre = means.mean()  # far from 0, sums of large numbers would leave no digits for their differences
    prior = 1 / deviations**2
    precision = 1 / np.clip(errors, EXACT * deviations, deviations) ** 2
    gain = (precision - prior)[:, None] * there
    weight = gain + prior[:, None] * there / there.sum(axis=0)
    told = (precision[:, None] * (answers[:, :, 0] - centre) - (prior * (means - centre))[:, None]) * there
    shared = (prior * (means - centre))[:, None] * there / there.sum(axis=0)
    return np.asarray((told + shared).sum(axis=0) / weight.sum(axis=0) + centre)[:, None]


def _errors(part: Neural, val: Inputs) -> dict[str, float]:
    """Root of the mean squared error of each value on the validation samples that have the modality, in its unit."""
    if not part.card.values:
        return {}
    answers, found = part.predict(val.features), {}
    for target in part.card.values:
        truth = val.labels(target)
        known = np.intersect1d(val.there, np.flatnonzero(labelled(truth)))
        error = float(np.sqrt(np.square(answers[target][known, 0] - truth[known]).mean()))
        found[target] = max(error, EXACT * float(part.card.settings["statistics"][target]["deviation"]))
    return found
