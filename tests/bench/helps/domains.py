"""What `train.domains` is worth: `python -m tests.bench.helps.domains` prints a line of JSON, exit 1 below the bar.

Two sites, labels from one of them alone (tests/train/sites.py); concat and mean, five seeds, leads there:

    shifted    its features are moved; normalise and coral must help
    turned     they are turned, which no normalising undoes; coral must help
    same       they are alike; at most a point is lost
"""

import sys
from functools import cache, partial

from tasks.steady import steady
from tests.bench.helps.leads import HELPS, HURTS_NOT, judge
from tests.train.sites import sites

JUDGED = {
    "shifted": (("normalise", "coral"), HELPS),
    "turned": (("coral",), HELPS),
    "same": (("normalise", "coral"), HURTS_NOT),
}
FUSIONS = ("concat", "mean")


@cache
def without(seed: int, case: str, fusion: str) -> float:
    """Accuracy at the other site with nothing done."""
    return sites("none", seed, case, fusion)


def compared(seed: int, how: str, case: str, fusion: str) -> tuple[float, float]:
    """Accuracy at the other site with domains and without."""
    return sites(how, seed, case, fusion), without(seed, case, fusion)


CASES = {
    f"{case}_{fusion}_{how}": (partial(compared, how=how, case=case, fusion=fusion), bar)
    for case, (hows, bar) in JUDGED.items()
    for fusion in FUSIONS
    for how in hows
}

if __name__ == "__main__":
    with steady(1):
        sys.exit(judge(__doc__, CASES))
