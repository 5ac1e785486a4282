"""Blocking where asked for: fusing beats the best single modality by a given amount."""

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, measured, told
from tasks.gate.single import gain_over_single

RULE = "the lower bound of the gain over the best single modality, complete cases, is at least gate.floor_over_single"


def judge(evidence: Evidence) -> Row:
    """Compare the paired gain's lower bound, as evaluate measured it, with `gate.floor_over_single`."""
    needed = evidence.gate.floor_over_single
    if needed is None:
        return told("floor_over_single", True, RULE, "not applicable", "gate.floor_over_single is not set")
    found, text = gain_over_single(evidence)
    if found is None:
        return told("floor_over_single", True, RULE, "fail", text)
    reason = f"{text}, needed at least {needed:+.3f}"
    return measured("floor_over_single", True, RULE, found, needed, found.low >= needed, reason)
