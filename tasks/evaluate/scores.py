"""Scores of all candidates on the same samples, and what fusing gains over the best single modality."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.intervals import Interval, interval
from tasks.measures import blind, clipped, said, tally
from tasks.params import keyed_seed
from tasks.tables import decided
from tasks.tally import Tally
from tasks.targets import METRICS, Output

ALONE = "alone-"


@dataclass(frozen=True)
class Judged:
    """What candidates are scored on.

    Attributes:
        truth: [n], class indices int64 or values float64.
        groups: object [n].
        answers: candidate -> float64 [n, width], probabilities or values.
        parameters: candidate -> number of fitted numbers.
        output: what is answered.
    """

    truth: npt.NDArray[Any]
    groups: npt.NDArray[np.object_]
    answers: Mapping[str, npt.NDArray[np.float64]]
    parameters: Mapping[str, int]
    output: Output

    def where(self, rows: npt.NDArray[np.bool_]) -> "Judged":
        """Only some of the samples."""
        answers = {name: answer[rows] for name, answer in self.answers.items()}
        return Judged(self.truth[rows], self.groups[rows], answers, self.parameters, self.output)

    def predicted(self, name: str) -> npt.NDArray[Any]:
        """What one candidate decides, comparable with `truth`."""
        return decided(self.answers[name], self.output)

    def tally(self, metric: str, name: str) -> Tally:
        """A metric by group of one candidate."""
        return self._tally(metric, said(metric, self.answers[name], self.output))

    def prior(self, metric: str, always: npt.NDArray[Any]) -> Tally:
        """A metric by group of answering without looking (see `tasks.measures.constant`)."""
        return self._tally(metric, blind(metric, always, len(self.truth), self.output))

    def _tally(self, metric: str, predicted: npt.NDArray[Any]) -> Tally:
        return tally(metric, self.truth, predicted, self.groups, len(self.output.classes))

    @property
    def sizes(self) -> dict[str, int]:
        """Number of samples and of groups."""
        return {"samples": len(self.truth), "groups": len(np.unique(self.groups))}


@dataclass(frozen=True)
class Sureness:
    """How intervals are made: number of resamples, two-sided confidence, the run's seed."""

    draws: int
    confidence: float
    seed: int

    def generator(self, *names: str) -> np.random.Generator:
        """Resamples for one purpose."""
        return np.random.default_rng(keyed_seed(self.seed, "bootstrap", *names))

    @property
    def tail(self) -> float:
        """Probability beyond each end of an interval."""
        return (1 - self.confidence) / 2


def scores_of(judged: Judged, sure: Sureness) -> dict[str, Any]:
    """Every metric of the type, of every candidate: {"samples", "groups", "candidates": {name: {metric: interval}}}.

    All candidates see the same resamples, so that their intervals can be compared.
    """
    candidates: dict[str, Any] = {}
    for name in sorted(judged.answers):
        found = {}
        for m in METRICS[judged.output.type]:
            bounds = interval(judged.tally(m, name), sure.generator(m), sure.draws, sure.tail)
            found[m] = clipped(bounds, m).as_json()
        candidates[name] = {**found, "parameters": judged.parameters[name]}
    return {**judged.sizes, "candidates": candidates}


def gain_over_best_single(judged: Judged, selected: str, metric: str, sure: Sureness) -> dict[str, Any]:
    """The selected candidate's lead over the best single modality on these samples, paired: {"value", "low", "high", "single"}.

    The best is taken on the same samples, which favours the single modality: the gain is not flattered.
    """
    sums = {name: judged.tally(metric, name) for name in judged.answers}
    singles = sorted(name for name in sums if name.startswith(ALONE))
    best = max(singles, key=lambda name: sums[name].value)
    gain: Interval = interval(sums[selected].minus(sums[best]), sure.generator("gain", metric), sure.draws, sure.tail)
    return {**gain.as_json(), "single": best}


def report(judged: Judged, complete: npt.NDArray[np.bool_], selected: str, metric: str, sure: Sureness) -> dict[str, Any]:
    """All scores, on all samples and on complete cases (every modality present); the latter empty below two groups."""
    whole = judged.where(complete)
    cases: dict[str, Any] = {**whole.sizes, "candidates": {}, "gain_over_best_single": None}
    if cases["groups"] >= 2:
        cases |= scores_of(whole, sure)
        cases["gain_over_best_single"] = gain_over_best_single(whole, selected, metric, sure)
    return {**scores_of(judged, sure), "complete": cases}
