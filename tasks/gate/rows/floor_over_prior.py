"""Blocking: the candidate beats always answering the same: the commonest class or labels of the train split, or its mean."""

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, measured

RULES = {
    "labels": "the lower bound of the gain over always answering what labels most train samples have is at least"
    " gate.floor_over_prior",
    "class": "the lower bound of the gain over always answering the commonest train class is at least gate.floor_over_prior",
    "value": "the lower bound of the gain over always answering the train split's mean is at least gate.floor_over_prior",
}


def judge(evidence: Evidence) -> Row:
    """Compare the paired gain's lower bound with `gate.floor_over_prior`."""
    needed, output = evidence.gate.floor_over_prior, evidence.output
    mine = evidence.tally(evidence.candidate)
    prior = evidence.prior
    found = evidence.bounds("floor_over_prior", mine.minus(prior))
    reason = (
        f"{mine.value:.3f} against {prior.value:.3f} of always answering {_said(evidence)}"
        f" on {evidence.size}: difference {found.value:+.3f}, lower bound {found.low:+.3f}, needed at least {needed:+.3f}"
    )
    rule = RULES["value" if output.is_number else "labels" if output.is_set else "class"]
    return measured("floor_over_prior", True, rule, found, needed, found.low >= needed, reason)


def _said(evidence: Evidence) -> str:
    """What is always answered, in words."""
    words = evidence.output.words(evidence.constant)
    return words if evidence.output.is_number else repr(words)
