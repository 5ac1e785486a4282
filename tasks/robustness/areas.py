"""Areas under and between curves of a score over the level of damage, ready to be taken again of resamples.

Relative and effective robustness as Liang et al. define them, "MultiBench: Multiscale Benchmarks for Multimodal Representation
Learning", NeurIPS datasets and benchmarks 2021, appendix on robustness; their eval_scripts/robustness.py sums the same
trapezia, and for the second the levels' differences.
"""

from collections.abc import Sequence
from itertools import pairwise

from tasks.tally import Tally, weighted


def relative(curve: Sequence[Tally], levels: Sequence[float]) -> Tally:
    """The area under a curve by the trapezoidal rule: over levels from 0 to 1, the mean score.

    Args:
        curve: a score at each level.
        levels: rising, the first one 0.
    """
    steps = [after - before for before, after in pairwise(levels)]
    widths = [(left + right) / 2 for left, right in zip([0.0, *steps], [*steps, 0.0], strict=True)]
    return weighted(list(zip(widths, curve, strict=True)))


def effective(curve: Sequence[Tally], baseline: Sequence[Tally], levels: Sequence[float]) -> Tally:
    """The area between a curve and the baseline's, which is moved so that both begin at the same score.

    Above 0 the model loses more slowly than the baseline: to be better undamaged is no merit here. In MultiBench it is late
    fusion.
    """
    ahead = curve[0].minus(baseline[0])
    gained = [mine.minus(theirs).minus(ahead) for mine, theirs in zip(curve, baseline, strict=True)]
    return relative(gained, levels)
