"""Tonight's candidate against a reigning model on the same samples: the comparison behind `champion` and `anchor`."""

import numpy as np

from tasks.gate.evidence import Evidence
from tasks.gate.row import Row, measured, told
from tasks.measures import Interval, one_more

BOUND = (
    "the lower bound of candidate minus {who}, paired by sample, clustered by group, one error more charged to the candidate,"
)
RULES = {"non-inferior": f"{BOUND} is above -gate.margin", "better": f"{BOUND} is above 0"}


def against(who: str, evidence: Evidence) -> Row:
    """Judge by the one-sided lower bound of the paired difference.

    Non-inferiority of paired classifiers: the null hypothesis is "worse by the margin or more", and only data can reject
    it, so that little data means no promotion.
    """
    gate = evidence.gate
    rule = RULES[gate.mode].format(who=who)
    fault = _fault(who, evidence)
    if fault:
        return told(who, True, rule, "fail", fault)
    version = evidence.versions[who]
    if version is None:
        return told(who, True, rule, "not applicable", f"there is no {who} yet: the floors decide")
    needed = -gate.margin if gate.mode == "non-inferior" else 0.0
    found, theirs = difference(who, evidence)
    reason = (
        f"{theirs + found.value:.3f} against {theirs:.3f} of {version} on {evidence.size}:"
        f" difference {found.value:+.3f}, lower bound {found.low:+.3f}, needed above {needed:+.3f}"
    )
    return measured(who, True, rule, found, needed, found.low > needed, reason)


def difference(who: str, evidence: Evidence) -> tuple[Interval, float]:
    """Candidate minus a reigning model with its one-sided bounds, and the reigning model's score.

    Each bound is one independent sample further out. Two models of a kind differ in few samples, and where the rare ones in
    which the candidate loses happen not to be drawn, neither their number nor the bound's width tells: without this charge 8 to
    10 % of the candidates that are worse by the margin pass at 150 groups, half of which stand or fall together, and 6 % when
    all samples are independent (tests/gate/test_error_rates.py). One such sample more is the least that may have been missed.
    """
    theirs = evidence.tally(_aligned(who, evidence))
    found = evidence.bounds(who, evidence.tally(evidence.candidate).minus(theirs))
    charge = one_more(theirs, len(evidence.ids), evidence.gate.metric)
    return Interval(found.value, found.low - charge, found.high + charge), theirs.value


def becomes_anchor(evidence: Evidence) -> bool:
    """Whether a promoted candidate is the best ever: the first one, or surely better than the anchor."""
    if evidence.versions["anchor"] is None:
        return True
    return difference("anchor", evidence)[0].low > 0


def _fault(who: str, evidence: Evidence) -> str:
    """What makes the comparison meaningless, or nothing."""
    ids, _ = evidence.reigning[who]
    version = evidence.versions[who]
    if version is None and ids:
        return f"the registry names no {who}, yet champion.parquet holds predictions of one"
    if version is None:
        other = evidence.versions["champion" if who == "anchor" else "anchor"]
        return f"the registry names no {who}, yet there is {other}: one is never without the other" if other else ""
    if not ids:
        return (
            f"{who} {version} gave no prediction of {evidence.target}: it was fitted for other targets, or its bundle is absent"
        )
    if len(ids) != len(set(ids)) or set(ids) != set(evidence.expected):
        differing = set(ids) ^ set(evidence.expected)
        return f"{who} {version} predicted other samples than tonight's test set ({len(differing)} differ)"
    if not np.isfinite(_aligned(who, evidence)).all():
        return f"predictions of {evidence.target} by {who} {version} hold NaN, or are empty"
    return ""


def _aligned(who: str, evidence: Evidence) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The reigning model's answers to the judged samples, in their order."""
    ids, answers = evidence.reigning[who]
    place = {name: row for row, name in enumerate(ids)}
    return answers[[place[name] for name in evidence.ids]]
