"""Warning: what landed since the champion's promotion does not look like what encoders were fitted on."""

import math
from typing import Any

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, measured, told
from tasks.intervals import Interval

RULE = (
    "no column of a batch that landed since the champion's promotion lies surely further from the reference than"
    " validate.drift_warning (Kolmogorov-Smirnov, Bonferroni)"
)
ADVICE = "look at the source, its device and its settings; if the world has changed, move the reference"


def judge(evidence: Evidence) -> Row:
    """Look at the columns' distances, as validate measured them, less what chance reaches in any of them."""
    columns, most = evidence.drift, evidence.validate.drift_warning
    if not columns:
        return told("drift", False, RULE, "not applicable", "no batch that could be compared with the reference landed since")
    error = (1 - evidence.gate.confidence) / len(columns)
    found = sorted(((_bounds(each, error), each) for each in columns), key=_first)
    bounds, worst = found[0]
    sure = [each for of, each in found if of.low > most]
    reason = (
        f"{_named(worst)} lies {bounds.value:.3f} from the reference, its median went from {worst['median'][0]:.6g} to"
        f" {worst['median'][1]:.6g}; in the surest of {len(columns)} columns chance reaches {bounds.value - bounds.low:.3f}"
    )
    if sure:
        others = "".join(f"; so does {_named(each)} ({each['distance']:.3f})" for each in sure[1:])
        reason = f"{reason}; surely more than {most:g}{others}: {ADVICE}"
    return measured("drift", False, RULE, bounds, most, not sure, reason)


def reach(sizes: list[float], error: float) -> float:
    """The distance that two samples of one distribution exceed with probability `error` at most.

    The first term of Kolmogorov's series: Wei, Dudley, "Two-sample Dvoretzky-Kiefer-Wolfowitz inequalities", Statistics &
    Probability Letters 2012.

    Args:
        sizes: numbers of independent values of the two.
        error: above 0, below 1.
    """
    return math.sqrt(math.log(2 / error) / 2 * sum(1 / size for size in sizes))


def _bounds(each: dict[str, Any], error: float) -> Interval:
    chance, distance = reach(each["independent"], error), each["distance"]
    return Interval(distance, distance - chance, min(1.0, distance + chance))


def _first(pair: tuple[Interval, dict[str, Any]]) -> tuple[float, str]:
    return -pair[0].low, _named(pair[1])


def _named(each: dict[str, Any]) -> str:
    return f"{each['column']} of {each['modality']} in {each['batch']}"
