"""Warning: the label may lie in how modalities go together, where encoders that were fitted to it cannot show it."""

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, told

RULE = "a modality alone or a fusion is surely better than a constant answer (complete cases)"
ADVICE = (
    "encoders fitted to such a label one by one see nothing of it: try train.finetune: [gated], which fits them together, or"
    " pretrain.objective: masked, or contrastive"
)
TRIED = "the encoders were fitted together with the head, or without labels, already: look at the labels, or land more"


def judge(evidence: Evidence) -> Row:
    """Compare the best fusion with late averaging and with chance, as evaluate measured it."""
    found = evidence.scores["interaction"]
    if found is None:
        return told("interaction", False, RULE, "not applicable", "no fusion, or too few complete cases, to look for one")
    joint, lead = found["joint"], found["over_late"]
    surely = [name for name, over in found["over_prior"].items() if over["low"] > 0]
    advised = found["objective"] == "supervised" and not found["end_to_end"]
    text = f"{joint} over the sum of single modalities (late) on complete cases: {lead['value']:+.3f}"
    if not surely:
        advice = ADVICE if advised else TRIED
        reason = f"{text}, and neither a modality alone nor {joint} is surely better than chance; {advice}"
    elif surely == [joint]:
        reason = f"{text}: the label is an interaction, no modality carries it alone" + (f"; {ADVICE}" if advised else "")
    else:
        reason = f"{text}: {'they interact' if lead['low'] > 0 else 'no interaction is seen'}"
    return Row(
        "interaction",
        False,
        RULE,
        lead["value"],
        lead["low"],
        lead["high"],
        None,
        "pass" if surely else "fail",
        reason,
    )
