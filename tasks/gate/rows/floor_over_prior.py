"""Blocking: the candidate beats always answering the commonest class of the train split."""

import numpy as np

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, measured

RULE = "the lower bound of the gain over always answering the commonest train class is at least gate.floor_over_prior"


def judge(evidence: Evidence) -> Row:
    """Compare the paired gain's lower bound with `gate.floor_over_prior`."""
    needed = evidence.gate.floor_over_prior
    mine = evidence.tally(evidence.candidate.argmax(axis=1))
    prior = evidence.tally(np.full(len(evidence.truth), evidence.commonest))
    found = evidence.bounds("floor_over_prior", mine.minus(prior))
    reason = (
        f"{mine.value:.3f} against {prior.value:.3f} of always answering {evidence.classes[evidence.commonest]!r}"
        f" on {evidence.size}: difference {found.value:+.3f}, lower bound {found.low:+.3f}, needed at least {needed:+.3f}"
    )
    return measured("floor_over_prior", True, RULE, found, needed, found.low >= needed, reason)
