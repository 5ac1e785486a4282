"""Does the label lie in how modalities go together, beyond what each says by itself?"""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from tasks.evaluate.scores import ALONE, Judged, Sureness
from tasks.intervals import interval
from tasks.tally import Tally

LATE = "late"


def interaction(
    judged: Judged, joint: Mapping[str, float], constant: npt.NDArray[Any], metric: str, sure: Sureness
) -> dict[str, Any] | None:
    """The joint model against the sum of the single modalities' logits, and all of them against answering without looking.

    Args:
        judged: complete cases, every modality is there.
        joint: the fusions that competed, with their scores on validation data, by which the best one is taken.
        constant: what is answered without looking (see `tasks.measures.constant`).
        metric: a name in `METRICS`.
        sure: how intervals are made.

    Returns:
        {"joint": its name, "over_late": paired interval, "over_prior": candidate -> paired interval, for the joint model and
        each modality alone}; None with fewer than two groups or without a fusion.
    """
    if not joint or judged.sizes["groups"] < 2:
        return None
    best = max(sorted(joint), key=joint.__getitem__)

    def over(name: str, other: Tally) -> dict[str, float]:
        lead = judged.tally(metric, name).minus(other)
        return interval(lead, sure.generator("interaction", metric), sure.draws, sure.tail).as_json()

    prior = judged.prior(metric, constant)
    names = [best, *sorted(name for name in judged.answers if name.startswith(ALONE))]
    return {
        "joint": best,
        "over_late": over(best, judged.tally(metric, LATE)),
        "over_prior": {name: over(name, prior) for name in names},
    }
