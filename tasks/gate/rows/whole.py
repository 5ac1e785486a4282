"""Blocking: there is something to judge, and nothing of it is missing, foreign or no number."""

import numpy as np

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, told

RULE = "predictions are finite, of every test sample of the manifest and of no other, and the scores are of the same samples"


def judge(evidence: Evidence) -> Row:
    """Fail when the other rows would judge something else than tonight's test set."""
    fault = _fault(evidence)
    if fault:
        return told("whole", True, RULE, "fail", f"nothing can be judged: {fault}")
    return told("whole", True, RULE, "pass", f"every one of {len(evidence.expected)} test samples has its prediction")


def _fault(evidence: Evidence) -> str:
    """What is wrong, or nothing."""
    foreign = set(evidence.expected) ^ set(evidence.found)
    if foreign or len(evidence.found) != len(evidence.expected):
        return (
            f"predictions and manifest name other test samples ({len(foreign)} differ, e.g. {min(foreign, default='twice')!r})"
        )
    if len(set(evidence.groups)) < 2:
        return f"{len(evidence.ids)} test samples in fewer than 2 groups are labelled in {evidence.target}"
    if not np.isfinite(evidence.candidate).all():
        return f"{int((~np.isfinite(evidence.candidate)).any(axis=1).sum())} predictions hold NaN or infinity"
    highest = 1 if evidence.output.is_set else len(evidence.output.classes) - 1
    if not evidence.output.is_number and (evidence.truth.min() < 0 or evidence.truth.max() > highest):
        return f"labels are outside 0 … {highest}"
    scores = evidence.scores
    told_of = (scores.get("target"), scores.get("metric"), scores.get("samples"))
    if told_of != (evidence.target, evidence.gate.metric, len(evidence.ids)):
        return f"scores.json is of {told_of}, the gate judges {(evidence.target, evidence.gate.metric, len(evidence.ids))}"
    return ""
