"""How much of the score, and of each answer, every modality carries: exact Shapley values over all subsets of modalities.

Shapley, "A Value for n-Person Games", 1953; of modalities as players: Hu, Li, Zhou, "SHAPE: An Unified Approach to Evaluate the
Contribution and Cooperation of Individual Modalities", IJCAI 2022. What a subset is worth is what the model answers when the
other modalities are not there, which training with modality dropout has shown it; with none it answers the train split's prior,
at its temperature like every answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain, combinations
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.evaluate.scores import Judged, Sureness
from tasks.features import Features
from tasks.intervals import interval
from tasks.measures import said, tally
from tasks.tables import decided, labelled
from tasks.tally import Tally, weighted
from tasks.targets import Output
from tasks.train.neural import Answers

MOST = 8  # modalities; every one more doubles what the model is asked

Array = npt.NDArray[np.float64]
Subset = frozenset[str]


@dataclass(frozen=True)
class Asked:
    """What a candidate answers of one target, by which modalities it is given.

    Attributes:
        modalities: all of them, sorted.
        answers: subset -> float64 [n, width].
    """

    modalities: tuple[str, ...]
    answers: Mapping[Subset, Array]

    def weights(self, modality: str) -> dict[Subset, float]:
        """How much each subset's worth counts in a modality's share: they add up to 0."""
        count, found = len(self.modalities), {}
        for subset in self.answers:
            with_it = modality in subset
            others = len(subset) - with_it
            weight = factorial(others) * factorial(count - others - 1) / factorial(count)
            found[subset] = weight if with_it else -weight
        return found

    @property
    def whole(self) -> Subset:
        """Everything."""
        return frozenset(self.modalities)


def asked(predict: Callable[[Mapping[str, Features]], Answers], features: Mapping[str, Features], target: str) -> Asked | None:
    """Ask a model with every subset of the modalities; None beyond MOST of them.

    Args:
        predict: of the model that is explained.
        features: modality -> features of the same n samples.
        target: one of the model's.
    """
    names = tuple(sorted(features))
    if len(names) > MOST:
        return None
    gone = {m: Features(body.tokens, np.zeros_like(body.mask), body.time) for m, body in features.items()}
    subsets = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    return Asked(names, {frozenset(s): predict({**gone, **{m: features[m] for m in s}})[target] for s in subsets})


def shares_of_score(found: Asked, judged: Judged, metric: str, sure: Sureness) -> dict[str, Any]:
    """What each modality adds to the score, paired and clustered by group.

    Args:
        found: the answers to all test samples.
        judged: the same samples with their truth; those without a label are left out.
        metric: a name in `METRICS`.
        sure: how intervals are made.

    Returns:
        `nothing`: the score without any modality; `whole`: with all; `samples`; `modalities`: by name `share`, which add up to
        the difference of these two, `lost`: how much less the score is without it, `over_nothing`: how much what is left then
        is above `nothing` (intervals); `right` and `wrong`: in how many answers it has the largest share (no regression).
    """
    known, output = labelled(judged.truth), judged.output
    truth, groups = judged.truth[known], judged.groups[known]
    worth = {
        subset: tally(metric, truth, said(metric, answer[known], output), groups, len(output.classes))
        for subset, answer in found.answers.items()
    }
    nothing, whole = worth[frozenset()], worth[found.whole]
    modalities: dict[str, Any] = {}
    for m in found.modalities:
        rest = worth[found.whole - {m}]
        sums = {
            "share": weighted([(weight, worth[subset]) for subset, weight in found.weights(m).items()]),
            "lost": whole.minus(rest),
            "over_nothing": rest.minus(nothing),
        }
        modalities[m] = {name: _interval(sums[name], metric, sure) for name in sums}
    if not output.is_number:
        for m, counts in _decided(found, judged, known).items():
            modalities[m] |= counts
    return {"nothing": nothing.value, "whole": whole.value, "samples": len(truth), "modalities": modalities}


def _interval(sums: Tally, metric: str, sure: Sureness) -> dict[str, float]:
    return interval(sums, sure.generator("shares", metric), sure.draws, sure.tail).as_json()


def _decided(found: Asked, judged: Judged, known: npt.NDArray[np.bool_]) -> dict[str, dict[str, int]]:
    """In how many right and wrong answers each modality has the largest share."""
    shares = shares_of_answers(found, judged.output)
    largest = np.stack([shares[m] for m in found.modalities]).argmax(axis=0)
    hit = decided(found.answers[found.whole], judged.output) == judged.truth
    right = hit if hit.ndim == 1 else hit.all(axis=1)
    return {
        m: {"right": int((known & right & (largest == place)).sum()), "wrong": int((known & ~right & (largest == place)).sum())}
        for place, m in enumerate(found.modalities)
    }


def shares_of_answers(found: Asked, output: Output) -> dict[str, Array]:
    """What each modality adds to each answer: float64 [n] by modality.

    They add up to the probability of what is decided less the one that the prior gives it; of several labels to the mean of
    these over the labels; of a value, in the target's unit, to its distance from the train split's mean. A modality that a
    sample lacks adds 0.
    """
    choice = decided(found.answers[found.whole], output)
    worth = {subset: _for(answer, choice, output) for subset, answer in found.answers.items()}
    return {m: np.asarray(sum(weight * worth[subset] for subset, weight in found.weights(m).items())) for m in found.modalities}


def _for(answer: Array, choice: npt.NDArray[Any], output: Output) -> Array:
    """How much an answer [n, width] speaks for what was decided, float64 [n]."""
    if output.is_number:
        return answer[:, 0]
    if output.is_set:
        return np.asarray(np.where(choice == 1, answer, 1 - answer).mean(axis=1))
    return np.asarray(answer[np.arange(len(answer)), choice])
