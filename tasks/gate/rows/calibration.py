"""A probability means what it says, for whoever acts on it. Blocking where a temperature was fitted, else a warning.

With little validation data none is fitted (`split.calibration`), and nobody could mend what would be refused.
"""

from tasks.calibration import FEWEST, Confidence
from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, measured, told

NAME = "calibration"
RULE = "probabilities are not surely off by more than gate.calibration on average"
ADVICE = "land more, or raise split.calibration, so that it is fitted on more; and look where the test set differs"


def judge(evidence: Evidence) -> Row:
    """Look at the lower bound of the calibration error, free of what chance adds: that of few samples blocks nothing."""
    if evidence.output.is_number:
        return told(NAME, True, RULE, "not applicable", f"{evidence.target} is a value: it has no probabilities")
    most, fitted_on = evidence.gate.calibration, evidence.scores["calibration"]["fitted_on"]["samples"]
    blocking = fitted_on >= FEWEST
    how = f"at a temperature that was fitted on {fitted_on} others" if blocking else "no temperature was fitted"
    said = Confidence.of(evidence.truth, evidence.candidate, evidence.groups, evidence.output)
    found = evidence.bounds(NAME, said.off)
    passed = found.low <= most
    reason = (
        f"off by {said.error:.3f} on {evidence.size}, {how}: {max(found.value, 0):.3f} beyond chance, surely"
        f" {max(found.low, 0):.3f}, allowed {most:.3f}"
    )
    return measured(NAME, blocking, RULE, found, most, passed, reason if passed else f"{reason}; {ADVICE}")
