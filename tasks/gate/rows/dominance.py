"""One modality alone does as well as the fused model: a warning. It does better, or one has gone silent inside: blocking."""

from dataclasses import dataclass

from tasks.gate.evidence import Evidence
from tasks.gate.reigning import aligned, compared, fault_of
from tasks.gate.row import Row, measured, told
from tasks.gate.rows.slices import holm, worse
from tasks.gate.single import gain_over_single
from tasks.intervals import Interval, one_more, surely
from tasks.tally import weighted

RULE = "the lower bound of the gain over the best single modality, complete cases, is above 0"
WORSE = "the upper bound of the gain over the best single modality, complete cases, is not below -gate.margin"
KEPT = 0.5  # of what a modality counted: with less it has gone silent
SILENT = (
    "no modality without which the champion loses more than gate.margin surely counts less than half of that in the candidate,"
    " or, where the champion has no other, less than gate.margin, as its share does (Holm)"
)
ADVICE = "look at its encoder and its features, and at train.slowing, which keeps the stronger ones from starving it"


@dataclass(frozen=True)
class Fallen:
    """What a modality counts in candidate and champion: by how much the score falls without it.

    Attributes:
        mine: of the candidate.
        theirs: of the champion.
        found: the candidate's less what it should count, with its one-sided bounds.
        p: one-sided, of "not below 0".
    """

    mine: float
    theirs: float
    found: Interval
    p: float


def judge(evidence: Evidence) -> Row:
    """Compare the paired gain's bounds, as evaluate measured it, and what each modality counts, with the champion's."""
    margin = evidence.gate.margin
    gain, text = gain_over_single(evidence)
    if gain is not None and gain.high < -margin:
        reason = f"{text}, upper bound {gain.high:+.3f}: one modality alone is surely better by more than {margin:.3f}"
        return measured("dominance", True, WORSE, gain, -margin, False, reason)
    fallen = _fallen(evidence)
    sure = holm({m: each.p for m, each in fallen.items()})
    silent = [m for m in fallen if sure[m] <= 1 - evidence.gate.confidence and fallen[m].theirs > margin]
    if len(evidence.without.get("champion", {})) == 1:  # what others tell as well is not missed, and yet listened to
        silent = [m for m in silent if _share(evidence, m) < margin]
    if silent:
        m = min(silent, key=lambda each: (fallen[each].found.value, each))
        of, others = fallen[m], "".join(f", so does {each}" for each in silent if each != m)
        version = evidence.versions["champion"]
        reason = (
            f"without {m} the champion {version} loses {of.theirs:.3f}, the candidate {of.mine:.3f} on {evidence.size}:"
            f" {m} counts less than {_least(evidence)} with p = {sure[m]:.3f} after Holm's correction over"
            f" {len(fallen)} {'modalities' if len(fallen) > 1 else 'modality'}{others}; {ADVICE}"
        )
        better = compared("champion", evidence).found.low > 0  # the champion may have leaned on it for want of another
        reason = f"{reason}; it only warns, since the candidate is surely better than {version}" if better else reason
        return measured("dominance", not better, SILENT, of.found, 0.0, False, reason)
    if gain is None:
        return told("dominance", False, RULE, "not applicable", text)
    return measured("dominance", False, RULE, gain, 0.0, gain.low > 0, f"{text}, needed above +0.000")


def _fallen(evidence: Evidence) -> dict[str, Fallen]:
    """By modality that both were asked without; nothing of no champion, or where they have one of several in common."""
    if evidence.versions["champion"] is None or fault_of("champion", evidence):
        return {}
    mine, theirs = (evidence.without.get(who, {}) for who in ("candidate", "champion"))
    both = sorted(mine.keys() & theirs.keys())
    if len(both) < min(2, len(theirs)):
        return {}
    whole = evidence.tally(evidence.candidate), evidence.tally(aligned("champion", evidence))
    each = one_more(whole[1], len(evidence.ids))
    found = {}
    for m in both:
        lost = whole[0].minus(evidence.tally(mine[m])), whole[1].minus(evidence.tally(theirs[m]))
        # Without its only modality the champion loses all that it knows: half of that is no measure for a model of several.
        only = len(theirs) == 1
        most = evidence.gate.margin if only else 0.0
        difference = lost[0] if only else weighted([(1.0, lost[0]), (-KEPT, lost[1])])
        bounds = surely(difference, each, evidence.gate.confidence)
        less = Interval(bounds.value - most, bounds.low - most, bounds.high - most)
        found[m] = Fallen(lost[0].value, lost[1].value, less, worse(difference, each, -most))
    return found


def _share(evidence: Evidence, modality: str) -> float:
    """The upper bound of the candidate's Shapley share of a modality, 0 of one that it does not use."""
    modalities = (evidence.scores.get("shares") or {}).get("modalities", {})
    return float(modalities[modality]["share"]["high"]) if modality in modalities else 0.0


def _least(evidence: Evidence) -> str:
    """What a modality of the champion's should count."""
    only = len(evidence.without["champion"]) == 1
    return "gate.margin, and was all that the champion has," if only else "half of what it did"
