"""Blocking: the candidate is good enough by itself."""

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, measured


def judge(evidence: Evidence) -> Row:
    """Compare the score's lower bound with `gate.floor`."""
    gate = evidence.gate
    found = evidence.bounds("floor", evidence.tally(evidence.candidate.argmax(axis=1)))
    passed = found.low >= gate.floor
    reason = (
        f"{gate.metric} {found.value:.3f} on {evidence.size}: lower bound {found.low:.3f},"
        f" {'at' if passed else 'not at'} least the floor of {gate.floor:.3f}"
    )
    return measured("floor", True, "the score's lower bound is at least gate.floor", found, gate.floor, passed, reason)
