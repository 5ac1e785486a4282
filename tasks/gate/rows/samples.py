"""Warning: with few groups, bounds are wide and rest on Student's t."""

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, told
from tasks.intervals import FEW_GROUPS

RULE = f"the test set has at least {FEW_GROUPS} groups"


def judge(evidence: Evidence) -> Row:
    """Count the groups."""
    groups = len(set(evidence.groups))
    if groups < FEW_GROUPS:
        text = f"{groups} groups, fewer than {FEW_GROUPS}: bounds come from Student's t and are wide; land more groups"
        return told("samples", False, RULE, "fail", text)
    return told("samples", False, RULE, "pass", f"{evidence.size}")
