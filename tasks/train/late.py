"""Late averaging: each modality answers alone, then the answers are combined by how much each knows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken
from tasks.features import Features
from tasks.standard import NAMES, softmax
from tasks.tables import labelled
from tasks.train.card import Card, are_statistics, read_card
from tasks.train.inputs import Inputs, present
from tasks.train.neural import Answers, Neural, complete

Array = npt.NDArray[np.float64]
SURE = 1e-4  # no modality may rule a class out: the product would let it overrule all others
TRUST = ("slope", "error")
LEAST = 1e-12  # a slope of 0 or less, squares of nothing
EXACT = 1e-2  # of a deviation: no modality's error is taken for smaller, for the same reason


class Late:
    """The candidates `alone-<m>` vote: log-probabilities relative to the prior are added up over what a sample has.

    Kittler, Hatef, Duin, Matas, "On Combining Classifiers", TPAMI 1998, equation 7, the product rule: right when the
    modalities are independent given the class. Averaging the probabilities themselves (their sum rule) was tried and
    loses 5 points on av-digits. Neither can represent an interaction of modalities.

    Values are combined by the same rule, each taken for a normal distribution around the answer: a mean weighted by inverse
    variances, less the prior's that all share (Tresp, "A Bayesian Committee Machine", Neural Computation 2000). How wide it is,
    and how far the answer is drawn to the mean first, is measured on validation data: an overfitted modality is too bold.
    """

    def __init__(self, card: Card, parts: Mapping[str, Neural]) -> None:
        """Take one fitted candidate per modality."""
        self.card, self.parts = card, dict(parts)

    @classmethod
    def of(cls, parts: Sequence[Neural], val: Inputs) -> "Late":
        """Combine candidates that were fitted alone: nothing is left to fit but how far values are trusted."""
        by_modality = {part.card.modalities[0]: part for part in parts}
        cards = {m: by_modality[m].card for m in sorted(by_modality)}
        trust = _trusts(by_modality, val, np.ones(len(val), bool))
        card = Card(
            name="late",
            kind="late",
            modalities=list(cards),
            widths={m: card.widths[m] for m, card in cards.items()},
            targets=next(iter(cards.values())).targets,
            parameters=sum(card.parameters for card in cards.values()),
            steps=0,
            curve=[],
            settings={"parts": {m: card.name for m, card in cards.items()}} | ({"trust": trust} if any(trust.values()) else {}),
        )
        return cls(card, by_modality)

    def predict(self, features: Mapping[str, Features]) -> Answers:
        """Per target probabilities float64 [n, classes] or values [n, 1]; see `Neural.predict` for arguments and errors."""
        inputs = complete(features, self.card)
        there = np.stack([present(inputs[m]) for m in inputs]).astype(np.float64)  # [modalities, n]
        there[:, ~there.any(axis=0)] = 1  # nothing at all: each part answers its prior
        answers = [self.parts[m].predict({m: inputs[m]}) for m in inputs]
        return {t: self._combined(t, np.stack([a[t] for a in answers]), there) for t in self.card.targets}

    def fused(self, features: Mapping[str, Features]) -> Array:
        """What each modality says for each answer beyond the prior, side by side, float64 [n, width]; 0 where it is missing.

        The answers are what these add up to: log-probabilities, each sample's less their mean, for nothing depends on that; of
        each of several labels the log-odds; of a value its distance from the mean, in deviations, times the precision that it
        is trusted with. See `predict`.
        """
        inputs = complete(features, self.card)
        found = []
        for m, body in inputs.items():
            answers, there = self.parts[m].predict({m: body}), present(body)[:, None]
            found += [np.where(there, self._evidence(m, target, answers[target]), 0.0) for target in self.card.targets]
        return np.concatenate(found, axis=1)

    def _evidence(self, modality: str, target: str, answer: Array) -> Array:
        """How far one modality's answers [n, width] speak for each answer, beyond the prior."""
        settings, output = self.parts[modality].card.settings, self.card.outputs[target]
        if output.is_number:
            trust, of = self.card.settings["trust"][modality][target], settings["statistics"][target]
            sure = np.clip(trust["error"] / of["deviation"], EXACT, 1)
            return np.asarray(trust["slope"] * (answer - of["mean"]) / of["deviation"] / sure**2)
        if output.is_set:
            logs, prior = (np.log(np.maximum(_either(np.asarray(p)), SURE)) for p in (answer, settings["prior"][target]))
            return np.asarray((logs - prior) @ np.array([1.0, -1.0]))
        votes = np.log(np.maximum(answer, SURE)) - np.log(np.maximum(settings["prior"][target], SURE))
        return np.asarray(votes - votes.mean(axis=1, keepdims=True))

    def held_out(self, val: Inputs) -> Answers:
        """Answers for the validation samples, each by a trust that was measured without its group, as `predict` gives them.

        `select` compares candidates by them: one that was fitted on these samples would be ahead of those that were not.
        """
        answers = self.predict(val.features)
        if not self.card.values:
            return answers
        half = np.unique(val.samples["group"].to_pylist(), return_inverse=True)[1] % 2 == 0
        for measured, asked in ((half, ~half), (~half, half)):
            settings = {**self.card.settings, "trust": _trusts(self.parts, val, measured)}
            found = Late(replace(self.card, settings=settings), self.parts).predict(val.features)
            for target in self.card.values:
                answers[target][asked] = found[target][asked]
        return answers

    def _combined(self, target: str, answers: Array, there: Array) -> Array:
        """One target's answers [m, n, width], modalities by name, as one [n, width]."""
        settings = [self.parts[m].card.settings for m in self.card.modalities]
        if self.card.outputs[target].is_set:
            prior = _either(np.array([of["prior"][target] for of in settings]))
            each = _either(answers)
            return np.stack([_product(each[:, :, i], prior[:, i], there)[:, 0] for i in range(answers.shape[2])], axis=1)
        if target not in self.card.values:
            return _product(answers, np.array([of["prior"][target] for of in settings]), there)
        mean, deviation = (np.array([of["statistics"][target][name] for of in settings])[:, None] for name in NAMES)
        slope, error = (
            np.array([self.card.settings["trust"][m][target][name] for m in self.card.modalities])[:, None] for name in TRUST
        )
        return _committee(mean + slope * (answers[:, :, 0] - mean), mean, deviation, error, there)

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
        if card.values and not _is_trust(settings.pop("trust", None), card):
            raise ContractBroken(
                f"{folder}: the settings of late fusion must hold {' and '.join(TRUST)} of {', '.join(card.values)}"
            )
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
    return softmax(votes)


def _either(probabilities: Array) -> Array:
    """Probabilities [...] as those of yes and no [..., 2]."""
    return np.stack([probabilities, 1 - probabilities], axis=-1)


def _committee(answers: Array, mean: Array, deviation: Array, error: Array, there: Array) -> Array:
    """Combine values [m, n] over the modalities that are there, [m, n] of 0 and 1, to [n, 1]; the others are [m, 1].

    What a modality knows beyond the prior is its answer's precision less the prior's: none where its error is no smaller.
    """
    centre = mean.mean()  # far from 0, sums of large numbers would leave no digits for their differences
    prior = 1 / deviation**2
    precision = 1 / np.clip(error, EXACT * deviation, deviation) ** 2
    shared = prior * there / there.sum(axis=0)
    weight = (precision - prior) * there + shared
    told = (precision * (answers - centre) - prior * (mean - centre)) * there + shared * (mean - centre)
    return np.asarray(told.sum(axis=0) / weight.sum(axis=0) + centre)[:, None]


def _trusts(parts: Mapping[str, Neural], val: Inputs, measured: npt.NDArray[np.bool_]) -> dict[str, Any]:
    return {m: _trust(part, val.only(m), measured) for m, part in sorted(parts.items())}


def _trust(part: Neural, val: Inputs, measured: npt.NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """How far a modality's values are to be trusted, by the validation samples that have it, of those in bool [n].

    `slope`, in 0 … 1, is what its answers' distance from the mean has to be multiplied with for the smallest squared error;
    `error` is the root of the mean squared error that is left, in the target's unit: without a sample it tells nothing.
    """
    if not part.card.values:
        return {}
    answers, found = part.predict(val.features), {}
    for target in part.card.values:
        statistics, truth = part.card.settings["statistics"][target], val.labels(target)
        known = np.intersect1d(val.there, np.flatnonzero(labelled(truth) & measured))
        if not len(known):
            found[target] = {"slope": LEAST, "error": statistics["deviation"]}
            continue
        said, true = (values[known] - statistics["mean"] for values in (answers[target][:, 0], truth))
        slope = float(np.clip((said * true).sum() / max((said**2).sum(), LEAST), LEAST, 1))
        error = float(np.sqrt(np.square(slope * said - true).mean()))
        found[target] = {"slope": slope, "error": max(error, EXACT * statistics["deviation"])}
    return found


def _is_trust(found: Any, card: Card) -> bool:
    """Whether a card's settings can be what `_trust` measured; they come from a file."""
    whole = isinstance(found, dict) and set(found) == set(card.modalities)
    return whole and all(are_statistics(body, card.values, TRUST) for body in found.values())
