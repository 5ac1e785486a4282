"""Blocking: the candidate is good enough by itself."""

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, measured
from tasks.measures import limits

RULE = "the score's lower bound is at least gate.floor"


def judge(evidence: Evidence) -> Row:
    """Compare the score's lower bound with `gate.floor`, else with the lowest score of the metric, if it has one."""
    gate = evidence.gate
    found = evidence.bounds("floor", evidence.tally(evidence.candidate))
    floor = limits(gate.metric)[0] if gate.floor is None else gate.floor
    text = f"{gate.metric} {found.value:.3f} on {evidence.size}: lower bound {found.low:.3f}"
    if floor is None:
        return measured("floor", True, RULE, found, None, True, f"{text}, gate.floor is not set")
    passed = found.low >= floor
    reason = f"{text}, {'at' if passed else 'not at'} least the floor of {floor:.3f}"
    return measured("floor", True, RULE, found, floor, passed, reason)
