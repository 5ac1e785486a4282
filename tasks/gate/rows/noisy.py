"""Warning: a broken sensor may be worse than none.

That a score falls under damage is no fault: what is not in the input cannot be answered. That it falls below what the other
modalities score alone is one: the model could do without, and trusts what is broken. A fixed least score would not tell.
"""

from typing import Any

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, told

NAME = "noisy"
RULE = (
    "at a moderate level of damage no modality leaves surely less of the score than its absence would, all corruptions together"
)
ADVICE = "leave the cell empty where such a sensor is known to fail, and look whether training data has such samples"


def judge(evidence: Evidence) -> Row:
    """Hold each corruption at the moderate level against the modality's absence, as the stage robustness measured it."""
    found = evidence.robustness
    if fault := _fault(evidence):
        return told(NAME, False, RULE, "fail", fault)
    pairs = [(m, c, body) for m, of in found["modalities"].items() for c, body in of["corruptions"].items()]
    if not pairs:
        return told(NAME, False, RULE, "not applicable", _why_not(found))
    text = _least_robust(found, pairs)
    if len(found["modalities"]) < 2:
        return told(
            NAME, False, RULE, "not applicable", f"{text}; there is one modality, without which nothing could be answered"
        )
    below = sorted((body["over_gone"]["value"], m, c) for m, c, body in pairs if body["over_gone"]["high"] < 0)
    value, m, c = below[0] if below else min((body["over_gone"]["value"], m, c) for m, c, body in pairs)
    bounds = found["modalities"][m]["corruptions"][c]["over_gone"]
    reason = f"{text}; at level {found['moderate']:g} {_told(found, m, c)}"
    if below:
        others = "".join(f", so is {c} of {m}" for _, m, c in below[1:])
        reason = f"{reason}, which is surely less{others}: the answers trust a broken sensor; {ADVICE}"
    return Row(NAME, False, RULE, value, bounds["low"], bounds["high"], 0.0, "fail" if below else "pass", reason)


def _fault(evidence: Evidence) -> str:
    """What is wrong with the report, or nothing."""
    found, scores = evidence.robustness, evidence.scores
    told_of, judged = ([of.get(key) for key in ("target", "metric", "selected")] for of in (found, scores))
    return f"robustness.json is of {told_of}, scores.json of {judged}" if told_of != judged else ""


def _why_not(found: dict[str, Any]) -> str:
    if not found["samples"]:
        return "no sample was damaged: robustness.samples is 0"
    return f"{found['samples']} samples in {found['groups']} groups, or nothing in them that could be damaged"


def _least_robust(found: dict[str, Any], pairs: list[tuple[str, str, dict[str, Any]]]) -> str:
    m, c, body = min(pairs, key=lambda pair: (pair[2]["relative"]["value"], pair[:2]))
    area, effective = body["relative"]["value"], body["effective"]
    beside = f", effective {effective['value']:+.3f} against late fusion" if effective else ""
    return (
        f"least robust to {c} of {m}: {found['metric']} {area:.3f} over all levels{beside}, {found['whole']:.3f} undamaged"
        f" ({found['samples']} samples)"
    )


def _told(found: dict[str, Any], modality: str, corruption: str) -> str:
    of = found["modalities"][modality]
    place = found["levels"].index(found["moderate"])
    left = of["corruptions"][corruption]["scores"][place]
    return f"{corruption} of {modality} leaves {left:.3f}, none of it {of['gone']:.3f}"
