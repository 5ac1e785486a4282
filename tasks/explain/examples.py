"""Which answers are explained: the surest that are right, and the surest that are wrong."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.targets import Output

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """An answer that is explained.

    Attributes:
        row: among those it was chosen from.
        right: whether it is.
        column: of the answer [width] that is explained.
        truth: in words.
        says: in words.
        sure: the probability; None of a number.
        lacks: what is said is that the sample does not have the column's label, one of several.
    """

    row: int
    right: bool
    column: int
    truth: str
    says: str
    sure: float | None
    lacks: bool = False


def examples(answer: Array, truth: npt.NDArray[Any], output: Output, count: int) -> list[Example]:
    """At most so many, half of them wrong where there are enough; right ones first, each the surest first.

    Of a number the nearest to the truth are right, and the farthest from it wrong. Of several labels the one that is explained
    is the surest of those that are right, or of those that are wrong.

    Args:
        answer: float64 [n, width], calibrated.
        truth: [n] or [n, classes] (see `tasks.tables.truth`); labelled samples alone.
        output: of the target.
        count: 0 or more.
    """
    if output.is_number:
        off = np.abs(answer[:, 0] - truth)
        order = np.argsort(off, kind="stable")
        good, bad = order[: (len(order) + 1) // 2], order[::-1][: len(order) // 2]
        column = np.zeros(len(answer), np.int64)
    else:
        hit = np.asarray((answer >= 0.5) == (truth > 0.5) if output.is_set else np.arange(answer.shape[1]) == truth[:, None])
        column, right = _explained(answer, hit, output)
        sure = answer[np.arange(len(answer)), column]
        order = np.argsort(-(np.maximum(sure, 1 - sure) if output.is_set else sure), kind="stable")
        good, bad = order[right[order]], order[~right[order]]
    wrong = min(count // 2, len(bad))
    rows = [*((int(row), True) for row in good[: count - wrong]), *((int(row), False) for row in bad[:wrong])]
    return [_told(answer[row], truth[row], output, row, right, int(column[row])) for row, right in rows]


def _explained(
    answer: Array, hit: npt.NDArray[np.bool_], output: Output
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The column of each sample that is explained, and whether the answer is right."""
    if not output.is_set:
        said = answer.argmax(axis=1).astype(np.int64)
        return said, np.asarray(hit[np.arange(len(said)), said])
    right = np.asarray(hit.all(axis=1))
    sure = np.maximum(answer, 1 - answer)
    return np.where(right[:, None] | ~hit, sure, -1.0).argmax(axis=1).astype(np.int64), right


def _told(answer: Array, truth: Any, output: Output, row: int, right: bool, column: int) -> Example:
    if output.is_number:
        return Example(row, right, 0, output.words(truth), output.words(answer[0]), None)
    name = output.classes[column]
    if not output.is_set:
        return Example(row, right, column, output.words(truth), name, float(answer[column]))
    holds = ("not ", "")
    lacks = bool(answer[column] < 0.5)
    sure = float(max(answer[column], 1 - answer[column]))
    said = holds[int(not lacks)]
    return Example(row, right, column, f"{holds[int(truth[column])]}{name}", f"{said}{name}", sure, lacks)
