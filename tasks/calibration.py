"""Probabilities that mean what they say: of all answers given with 80 %, four in five are right.

A network that is fitted to be right is too sure of itself (Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural
Networks", ICML 2017). One number per target mends most of it: a temperature, fitted on samples that nothing else has used. It
makes all answers more or less sure and changes no decision.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.intervals import interval
from tasks.standard import softmax
from tasks.tables import decided, labelled
from tasks.tally import Tally, of_sums
from tasks.targets import Output

BINS, EACH = 10, 20  # answers are compared in so many bins, of no fewer samples each
FEWEST = 30  # labelled samples; from fewer no temperature is fitted
RANGE = (0.05, 20.0)  # of a temperature
TINY = 1e-12  # a probability of 0 would rule a class out at any temperature

Array = npt.NDArray[np.float64]
Groups = npt.NDArray[np.object_]


def temperature(truth: npt.NDArray[Any], answer: Array, output: Output) -> float:
    """The temperature under which the labels of these samples are likeliest (Guo et al., §4.2); 1 where they are too few.

    Args:
        truth: [n] or [n, classes], see `tasks.tables.truth`; unlabelled samples are left out.
        answer: float64 [n, width], probabilities.
        output: what is answered; a value has no probabilities, so its temperature is 1.
    """
    known = labelled(truth)
    if output.is_number or known.sum() < FEWEST:
        return 1.0
    from scipy.optimize import minimize_scalar

    seen, true = answer[known], truth[known]

    def surprise(log: float) -> float:
        told = tempered(seen, output, float(np.exp(log)))
        right = np.where(true == 1, told, 1 - told) if output.is_set else told[np.arange(len(true)), true]
        return float(-np.log(np.maximum(right, TINY)).mean())

    found = minimize_scalar(
        surprise, bounds=(math.log(RANGE[0]), math.log(RANGE[1])), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def tempered(answer: Array, output: Output, by: float) -> Array:
    """Probabilities [n, classes] at a temperature: above 1 less sure, below 1 surer. Values stay as they are."""
    if output.is_number or by == 1.0:
        return answer
    logs = np.log(np.maximum(answer, TINY))
    if output.is_set:
        return np.asarray(1 / (1 + np.exp((np.log(np.maximum(1 - answer, TINY)) - logs) / by)))
    return softmax(logs / by)


def all_tempered(answers: Mapping[str, Array], outputs: Mapping[str, Output], by: Mapping[str, float]) -> dict[str, Array]:
    """Each target's answers at its own temperature; at 1 where none is named."""
    return {target: tempered(answer, outputs[target], by.get(target, 1.0)) for target, answer in answers.items()}


@dataclass(frozen=True)
class Confidence:
    """How sure each answer was, and whether it was right, in bins of as many answers each.

    Of several labels each one is an answer of its own, as sure as its probability.

    Attributes:
        sure: float64 [n].
        right: float64 [n], 0 or 1.
        group: int64 [n], numbers of the groups.
        bin: int64 [n].
    """

    sure: Array
    right: Array
    group: npt.NDArray[np.int64]
    bin: npt.NDArray[np.int64]

    @classmethod
    def of(cls, truth: npt.NDArray[Any], answer: Array, groups: Groups, output: Output) -> "Confidence":
        """Take labelled samples: truth [n] or [n, classes], answers [n, classes] and groups [n]."""
        number = np.unique(groups, return_inverse=True)[1].astype(np.int64)
        if output.is_set:
            sure, right, number = answer.ravel(), truth.ravel().astype(np.float64), np.repeat(number, truth.shape[1])
        else:
            sure, right = answer.max(axis=1), (decided(answer, output) == truth).astype(np.float64)
        bins = max(1, min(BINS, len(truth) // EACH))
        edges = np.quantile(sure, np.arange(1, bins) / bins)
        return cls(sure, right, number, np.searchsorted(edges, sure, side="right").astype(np.int64))

    @property
    def error(self) -> float:
        """Expected calibration error: how far sureness is from the share of right ones, over bins, a mean over answers.

        With bins of as many answers each, as in Nixon et al., "Measuring Calibration in Deep Learning", 2019. It is above 0 by
        chance too, the more so the fewer samples there are: `off` is not.
        """
        return float(np.abs(np.bincount(self.bin, self.sure - self.right)).sum() / len(self.sure))

    @property
    def off(self) -> Tally:
        """The same by group, free of what chance adds: 0 on average where probabilities are true.

        Whether a bin is too sure or not sure enough, each group is told by the others: what it adds itself counts below 0
        when it points the other way. So the mean is never flattered by noise that is taken for a direction.
        """
        groups, bins = int(self.group.max()) + 1, int(self.bin.max()) + 1
        cell = self.group * bins + self.bin
        sums = np.bincount(cell, self.sure - self.right, minlength=groups * bins).reshape(groups, bins)
        way = np.sign(sums.sum(axis=0) - sums)
        counts = np.bincount(self.group, minlength=groups).astype(np.float64)
        return of_sums(np.stack([(way * sums).sum(axis=1), counts], axis=1), lambda both: both[..., 0] / both[..., 1])

    def curve(self, rng: np.random.Generator, draws: int, tail: float) -> list[dict[str, float]]:
        """Per bin, the least sure first: mean sureness `sure`, share `right` with its interval `low`, `high`, and `answers`."""
        found = []
        for place in np.unique(self.bin):
            rows = self.bin == place
            number = np.unique(self.group[rows], return_inverse=True)[1]
            sums = np.stack([np.bincount(number, self.right[rows]), np.bincount(number).astype(np.float64)], axis=1)
            ends = (0.0, 1.0)
            if len(sums) > 1:
                share = of_sums(sums, lambda both: both[..., 0] / both[..., 1])
                bounds = interval(Tally(share.groups, share.value, share.drawn, share.left, share=True), rng, draws, tail)
                ends = (max(0.0, bounds.low), min(1.0, bounds.high))
            row = {"sure": float(self.sure[rows].mean()), "right": float(self.right[rows].mean())}
            found.append({**row, "low": ends[0], "high": ends[1], "answers": int(rows.sum())})
        return found
