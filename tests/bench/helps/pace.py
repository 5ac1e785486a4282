"""What `train.slowing` and `train.alone` are worth: `python -m tests.bench.helps.pace`, a line of JSON, exit 1 below the bar.

Two modalities, one learned fast and one slowly (tests/train/unequal.py); five seeds, leads over neither knob:

    starved    the fast one leaves nothing to learn from the slow one; must help
    fair       it does not; at most a point is lost
"""

import sys
from functools import cache, partial
from typing import Any

from tasks.steady import steady
from tests.bench.helps.leads import HELPS, HURTS_NOT, judge
from tests.train.unequal import unequal

KNOBS: dict[str, dict[str, Any]] = {"slowing": {"slowing": 0.5}, "alone": {"alone": {"slow": 1.0}}}
BARS = {"starved": HELPS, "fair": HURTS_NOT}
FUSIONS = ("attention", "concat")


@cache
def without(seed: int, fusion: str, bold: bool) -> float:
    """Accuracy with neither knob."""
    return unequal({}, seed, fusion, bold)


def compared(seed: int, knob: str, fusion: str, bold: bool) -> tuple[float, float]:
    """Accuracy with a knob and with neither."""
    return unequal(KNOBS[knob], seed, fusion, bold), without(seed, fusion, bold)


CASES = {
    f"{case}_{fusion}_{knob}": (partial(compared, knob=knob, fusion=fusion, bold=case == "starved"), bar)
    for case, bar in BARS.items()
    for fusion in FUSIONS
    for knob in KNOBS
}

if __name__ == "__main__":
    with steady(1):
        sys.exit(judge(__doc__, CASES))
