"""The candidate's gain over the best single modality on complete cases, as evaluate measured it."""

from tasks.gate.evidence import Evidence
from tasks.intervals import Interval


def gain_over_single(evidence: Evidence) -> tuple[Interval | None, str]:
    """The gain with its two-sided interval, and a sentence; None where there were too few complete cases."""
    cases = evidence.scores["complete"]
    gain = cases["gain_over_best_single"]
    if gain is None:
        return None, f"{cases['samples']} complete cases in {cases['groups']} groups: too few to compare with a single modality"
    text = (
        f"{evidence.scores['selected']} over {gain['single']} on {cases['samples']} complete cases ({cases['groups']} groups):"
        f" difference {gain['value']:+.3f}, lower bound {gain['low']:+.3f}"
    )
    return Interval(gain["value"], gain["low"], gain["high"]), text
