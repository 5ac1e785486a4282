"""Warning: one modality alone may do as well as the fused model."""

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, measured, told
from tasks.gate.single import gain_over_single

RULE = "the lower bound of the gain over the best single modality, complete cases, is above 0"


def judge(evidence: Evidence) -> Row:
    """Compare the paired gain's lower bound, as evaluate measured it, with 0."""
    found, text = gain_over_single(evidence)
    if found is None:
        return told("dominance", False, RULE, "not applicable", text)
    return measured("dominance", False, RULE, found, 0.0, found.low > 0, f"{text}, needed above +0.000")
