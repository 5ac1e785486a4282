"""Blocking: the candidate against the best model ever, so that small steps down cannot add up."""

from tasks.gate.evidence import Evidence
from tasks.gate.reigning import against
from tasks.gate.row import Row


def judge(evidence: Evidence) -> Row:
    """Compare with the anchor on the same samples."""
    return against("anchor", evidence)
