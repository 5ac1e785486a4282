"""How much of the score is lost under damage, with intervals: paired by sample, clustered by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.damage import Shown
from tasks.evaluate.scores import Sureness
from tasks.intervals import Interval, interval
from tasks.measures import clipped, said, tally
from tasks.robustness.answers import Answers
from tasks.robustness.areas import effective, relative
from tasks.tally import Tally
from tasks.targets import Output

MODERATE = 0.5  # the level nearest to it is where damage is held against absence


@dataclass(frozen=True)
class Cases:
    """What answers are held against.

    Attributes:
        truth: [n], as `tasks.tables.truth` gives it, no row empty.
        groups: object [n].
        output: what is answered.
        metric: a name in `METRICS`.
        levels: from 0 to 1.
        sure: how two-sided intervals are made.
        tail: probability that any one-sided bound on damage against absence is beyond, all corruptions together.
    """

    truth: npt.NDArray[Any]
    groups: npt.NDArray[np.object_]
    output: Output
    metric: str
    levels: Sequence[float]
    sure: Sureness
    tail: float

    def tally(self, answer: npt.NDArray[np.float64]) -> Tally:
        """The metric by group."""
        predicted = said(self.metric, answer, self.output)
        return tally(self.metric, self.truth, predicted, self.groups, len(self.output.classes))

    def bounds(self, sums: Tally, tail: float | None = None) -> Interval:
        """A value and its interval; all see the same resamples."""
        rng = self.sure.generator("robustness", self.metric)
        return interval(sums, rng, self.sure.draws, self.sure.tail if tail is None else tail)

    @property
    def moderate(self) -> int:
        """The place of the moderate level."""
        return min(range(1, len(self.levels)), key=lambda place: (abs(self.levels[place] - MODERATE), place))


def losses(cases: Cases, mine: Answers, late: Answers | None) -> dict[str, Any]:
    """What robustness.json says of every modality and corruption.

    Returns:
        `whole`: the score as samples landed; `moderate`: the level at which damage is held against absence; `modalities`: by
        name `gone`, the score without it, `lost`, how much less that is, and `corruptions`: by name `scores` and `late` (the
        baseline's, None without one) at each level, `lost` at each level above 0, `relative` and `effective` robustness
        (areas.py; the latter None without a baseline), and `over_gone`: at the moderate level, how much more is left than
        without the modality. The bounds of that are one-sided and divided among all corruptions (Bonferroni; for whether any
        is below 0 it is Holm's too): with a dozen, one in two nights would have one below by luck.
    """
    whole = cases.tally(mine.clean)
    most = sum(len(_names(shown)) for shown in mine.shown.values())
    found: dict[str, Any] = {}
    for m in sorted(mine.shown):
        gone = cases.tally(mine.gone[m])
        of = _Modality(cases, whole, gone, cases.tail / max(1, most))
        theirs = _curves(cases, late, m) if late else {}
        curves = _curves(cases, mine, m)
        corruptions = {name: of.told(curve, theirs.get(name)) for name, curve in curves.items()}
        found[m] = {"gone": gone.value, "lost": cases.bounds(whole.minus(gone)).as_json(), "corruptions": corruptions}
    return {"whole": whole.value, "moderate": cases.levels[cases.moderate], "modalities": found}


@dataclass(frozen=True)
class _Modality:
    cases: Cases
    whole: Tally
    gone: Tally
    tail: float

    def told(self, curve: Sequence[Tally], late: Sequence[Tally] | None) -> dict[str, Any]:
        """One corruption's entry."""
        cases, levels = self.cases, self.cases.levels
        return {
            "scores": [sums.value for sums in curve],
            "lost": [cases.bounds(self.whole.minus(sums)).as_json() for sums in curve[1:]],
            "late": [sums.value for sums in late] if late else None,
            "relative": clipped(cases.bounds(relative(curve, levels)), cases.metric).as_json(),
            "effective": cases.bounds(effective(curve, late, levels)).as_json() if late else None,
            "over_gone": cases.bounds(curve[cases.moderate].minus(self.gone), self.tail).as_json(),
        }


def _names(shown: Mapping[Shown, Any]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in shown))


def _curves(cases: Cases, answers: Answers, modality: str) -> dict[str, list[Tally]]:
    """The score at each level, 0 the first, of every corruption of a modality."""
    whole, shown = cases.tally(answers.clean), answers.shown[modality]
    return {name: [whole, *(cases.tally(shown[name, level]) for level in cases.levels[1:])] for name in _names(shown)}
