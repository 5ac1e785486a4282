"""Blocking, the deciding row: the candidate against the reigning champion."""

from tasks.gate.evidence import Evidence
from tasks.gate.reigning import against
from tasks.gate.row import Row


def judge(evidence: Evidence) -> Row:
    """Compare with the champion on the same samples."""
    return against("champion", evidence)
