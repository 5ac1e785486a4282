"""Blocking: a candidate that is as good on the whole is not promoted if one part of the samples pays for it."""

from collections.abc import Mapping

from tasks.gate.evidence import Evidence, Rows
from tasks.gate.reigning import fault_of, paired
from tasks.gate.row import Row, measured, told
from tasks.intervals import FEWEST_GROUPS, standard_error, tail
from tasks.tally import Tally

RULE = "in no slice of the test set is the candidate surely worse than the champion by more than gate.margin (Holm)"


def judge(evidence: Evidence) -> Row:
    """Test "worse by the margin" in every slice; the more slices there are, the surer each has to be."""
    if evidence.versions["champion"] is None or fault_of("champion", evidence):
        return told("slices", True, RULE, "not applicable", "there is no champion to compare with")
    gate = evidence.gate
    parts = {name: rows for name, rows in evidence.slices.items() if _groups(evidence, rows) >= FEWEST_GROUPS}
    pairs = {name: pair for name, rows in parts.items() if (pair := paired("champion", evidence, rows)) is not None}
    if not pairs:
        return told("slices", True, RULE, "not applicable", f"no slice of the test set has {FEWEST_GROUPS} groups")
    sure = holm({name: worse(pair.difference, pair.each, gate.margin) for name, pair in pairs.items()})
    name = min(sure, key=lambda each: (sure[each], pairs[each].difference.value, each))
    pair, found = pairs[name], pairs[name].bounded(gate.confidence)
    reason = (
        f"{name}: {pair.mine.value:.3f} against {pair.theirs.value:.3f} of {evidence.versions['champion']} on"
        f" {evidence.size_of(parts[name])}: difference {found.value:+.3f}, worse by more than {gate.margin:.3f} with"
        f" p = {sure[name]:.3f}, the least of {len(pairs)} slices after Holm's correction"
    )
    return measured("slices", True, RULE, found, -gate.margin, sure[name] > 1 - gate.confidence, reason)


def worse(difference: Tally, each: float, margin: float) -> float:
    """One-sided p of "no worse than by the margin", one independent sample, which counts `each`, to the candidate's credit."""
    lost, error = -margin - difference.value - each, standard_error(difference)
    if error == 0:
        return 0.0 if lost > 0 else 1.0
    return tail(lost / error, difference.groups)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """p-values of a family, each so large that rejecting those below alpha errs once with probability alpha at most.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979.
    """
    adjusted, highest = {}, 0.0
    for place, name in enumerate(sorted(p, key=lambda each: p[each])):
        highest = max(highest, min(1.0, p[name] * (len(p) - place)))
        adjusted[name] = highest
    return adjusted


def _groups(evidence: Evidence, rows: Rows) -> int:
    return len(set(evidence.groups[rows]))
