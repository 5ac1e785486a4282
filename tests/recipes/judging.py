"""How near a night's models come to the best possible."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

SHARE = 0.9  # of what the Bayes score is above the best constant
FEWEST = 2000  # test samples; with fewer the mark is held within two standard errors
ERRORS, LOOSE = 2, 3  # standard errors by which a modality alone may be above its best; any fusion, and any of few samples


@dataclass(frozen=True)
class Row:
    """A candidate's score beside the best score that anything can have which sees what it sees.

    Attributes:
        mark: what is scored: target and metric.
        name: of the candidate.
        score: on the test set.
        best: that anything can have.
        error: standard error of the score.
        samples: that were scored.
    """

    mark: str
    name: str
    score: float
    best: float
    error: float
    samples: int

    @property
    def problem(self) -> str:
        """That it scores too much, or nothing."""
        errors = ERRORS if self.name.startswith("alone-") and self.samples >= FEWEST else LOOSE
        highest = self.best + errors * self.error
        if self.score <= highest:
            return ""
        return f"{self.name} scores {self.score:.3f} ({self.mark}): more than {highest:.3f}, so the law or the split leaks"


@dataclass(frozen=True)
class Outcome:
    """What a night came to: all candidates, the selected one's shares of what can be won, and what is not as it must be."""

    rows: tuple[Row, ...]
    samples: int
    selected: str
    shares: Mapping[str, float]
    problems: tuple[str, ...]


def judge(best: Mapping[tuple[str, str], Mapping[str, float]], scores: Mapping[str, Any]) -> Outcome:
    """Hold a night's scores against the law's.

    Args:
        best: `Recipe.best_of` the test samples' share of alarms.
        scores: scores.json.
    """
    samples, selected = int(scores["samples"]), str(scores["selected"])
    rows, shares, problems = [], {}, []
    for (target, metric), highest in best.items():
        mark, of = f"{target}, {metric}", scores if target == scores["target"] else scores["others"][target]
        found = [_row(mark, name, entry[metric], highest, samples) for name, entry in of["candidates"].items()]
        chosen, room = next(row for row in found if row.name == selected), highest["all"] - highest["nothing"]
        shares[mark] = share = (chosen.score - highest["nothing"]) / room
        needed = SHARE - (0.0 if samples >= FEWEST else ERRORS * chosen.error / room)
        if share < needed:
            problems.append(f"{selected} wins {share:.3f} of what can be won ({mark}), needed {needed:.3f}")
        problems += [row.problem for row in found if row.problem]
        rows += found
    return Outcome(tuple(rows), samples, selected, shares, tuple(problems))


def _row(mark: str, candidate: str, interval: Mapping[str, float], best: Mapping[str, float], samples: int) -> Row:
    highest = _best(candidate, best)
    share = mark.endswith("accuracy")  # its error is known of the best; of others as measured: an interval spans four of them
    error = sqrt(highest * (1 - highest) / samples) if share else (interval["high"] - interval["low"]) / 4
    return Row(mark, candidate, interval["value"], highest, error, samples)


def _best(candidate: str, best: Mapping[str, float]) -> float:
    """The best score of anything that sees what a candidate sees.

    Where no modality alone tells anything, neither does late averaging of what each of them says.
    """
    alone = [score for name, score in best.items() if name not in ("all", "nothing")]
    if candidate == "late" and max(alone) - best["nothing"] < 1e-9:
        return best["nothing"]
    return best.get(candidate.removeprefix("alone-"), best["all"])
