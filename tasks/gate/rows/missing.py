"""Warning: one sensor that fails may take the model with it."""

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, told

RULE = "with any one modality gone the score is surely above that of no modality at all"


def judge(evidence: Evidence) -> Row:
    """Look at the modality whose absence leaves least, as evaluate measured it."""
    shares = evidence.scores["shares"]
    if shares is None:
        return told("missing", False, RULE, "not applicable", "more modalities than are taken away one by one")
    rows = shares["modalities"]
    if len(rows) < 2:
        return told("missing", False, RULE, "not applicable", "there is one modality")
    name = min(rows, key=lambda m: (rows[m]["over_nothing"]["low"], m))
    rest, lost = rows[name]["over_nothing"], rows[name]["lost"]
    text = (
        f"without {name} {shares['whole'] - lost['value']:.3f} of {shares['whole']:.3f} remains"
        f" (lost {lost['value']:+.3f} [{lost['low']:+.3f}, {lost['high']:+.3f}]), {rest['value']:+.3f} over nothing"
    )
    passed = rest["low"] > 0
    reason = text if passed else f"{text}: when {name} fails the answers are worth no more than a constant one"
    return Row("missing", False, RULE, rest["value"], rest["low"], rest["high"], 0.0, "pass" if passed else "fail", reason)
