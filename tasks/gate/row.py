"""One line of the verdict."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from tasks.intervals import Interval

Answer = Literal["pass", "fail", "not applicable"]


@dataclass(frozen=True)
class Row:
    """What one rule found.

    Attributes:
        name: the rule's file.
        blocking: whether a `fail` stops the promotion; other rows warn.
        rule: what must hold, in words.
        measured: the value, None where nothing was measured.
        low: its one-sided lower bound at `gate.confidence`.
        high: its one-sided upper bound.
        needed: what `low` is compared with.
        verdict: pass, fail or not applicable.
        reason: a sentence a person can read.
    """

    name: str
    blocking: bool
    rule: str
    measured: float | None
    low: float | None
    high: float | None
    needed: float | None
    verdict: Answer
    reason: str

    def as_json(self) -> dict[str, object]:
        """As verdict.json holds it."""
        return dataclasses.asdict(self)


def measured(name: str, blocking: bool, rule: str, found: Interval, needed: float | None, passed: bool, reason: str) -> Row:
    """A row that rests on a measured value; what is no number never passes."""
    if not all(math.isfinite(number) for number in (found.value, found.low, found.high)):
        return told(name, blocking, rule, "fail", f"what was measured is no number: {reason}")
    verdict: Answer = "pass" if passed else "fail"
    return Row(name, blocking, rule, found.value, found.low, found.high, needed, verdict, reason)


def told(name: str, blocking: bool, rule: str, verdict: Answer, reason: str) -> Row:
    """A row without a measured value: not applicable, or nothing that could be measured."""
    return Row(name, blocking, rule, None, None, None, None, verdict, reason)
