"""Warning: two modalities' encoders may have learned the same, which leaves nothing to fuse."""

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, told

MOST = 0.5  # of 1, which is the same up to rotation and scale
RULE = f"no two modalities' features are alike within classes: debiased CKA is below {MOST}, or no more than chance reaches"


def judge(evidence: Evidence) -> Row:
    """Look at the most alike pair, as evaluate measured it."""
    pairs = evidence.scores["alike"]
    if not pairs:
        return told("homogenisation", False, RULE, "not applicable", "no two modalities with enough independent test samples")
    most = max(pairs, key=lambda pair: (pair["cka"], pair["pair"]))
    surely = most["p"] <= 1 - evidence.gate.confidence
    text = (
        f"{' and '.join(most['pair'])}: debiased CKA {most['cka']:.2f} within classes on {most['samples']} independent samples,"
        f" chance reaches {most['chance']:.2f}; their errors correlate by {most['errors']:+.2f} (p = {most['errors_p']:.3f})"
    )
    alike = most["cka"] >= MOST and surely
    reason = f"{text}: one of them adds little, look whether both show the same" if alike else text
    return Row("homogenisation", False, RULE, most["cka"], None, None, MOST, "fail" if alike else "pass", reason)
