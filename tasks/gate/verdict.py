"""From rows to a verdict."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tasks.gate.evidence import Evidence
from tasks.gate.reigning import becomes_anchor
from tasks.gate.row import Row
from tasks.gate.rows import ROWS
from tasks.intervals import FEWEST_GROUPS

DECIDING = ("champion", "floor")  # the first that applies decides when nothing stops


def judged(evidence: Evidence) -> list[Row]:
    """Every row; when the evidence is not whole, that row alone, since the others would measure something else.

    Whether one blocks is its own to say, but for those that `gate.rows` names.
    """
    first = ROWS["whole"](evidence)
    if first.verdict == "fail":
        return [first]
    found = [first, *(judge(evidence) for name, judge in ROWS.items() if name != "whole")]
    asked = evidence.gate.rows
    return [replace(row, blocking=asked[row.name] == "blocking") if row.name in asked else row for row in found]


def decide(rows: Sequence[Row], evidence: Evidence, promotion: str) -> dict[str, Any]:
    """The verdict, the row that decided it, whether a person must approve and the candidate becomes the anchor.

    Closed by default: no blocking row passed, no promotion.

    Args:
        rows: what each rule found.
        evidence: what they judged.
        promotion: auto, or approve: a person is asked in any case.
    """
    blocking = [row for row in rows if row.blocking]
    failed = [row.name for row in blocking if row.verdict == "fail"]
    passed = {row.name for row in blocking if row.verdict == "pass"}
    deciding = [name for name in DECIDING if name in passed]
    promote = not failed and bool(deciding)
    return {
        "verdict": "promote" if promote else "reject",
        "decided_by": deciding[0] if promote else (failed or ["floor"])[0],
        "becomes_anchor": promote and becomes_anchor(evidence),
        "approval": _approval(evidence, promotion) if promote else "",
        "rows": [row.as_json() for row in rows],
    }


def _approval(evidence: Evidence, promotion: str) -> str:
    """Why a person must approve, or nothing."""
    groups = len(set(evidence.groups))
    asked = ["params.yaml says `promotion: approve`"] if promotion == "approve" else []
    few = [f"the test set has {groups} groups, fewer than {FEWEST_GROUPS}: too few for the gate to decide alone"]
    return "; ".join([*asked, *(few if groups < FEWEST_GROUPS else [])])
