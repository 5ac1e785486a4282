"""Blocking: what decides are samples that arrived since the promotion, and on the older ones nothing is lost either."""

from tasks.gate.evidence import Evidence
from tasks.gate.reigning import compared, fault_of, paired
from tasks.gate.row import Row, measured, told

RULE = "on the test samples from before the champion's promotion the candidate is not surely worse by more than gate.margin"


def judge(evidence: Evidence) -> Row:
    """Look at the paired difference's upper bound: these samples have chosen the champion, which flatters it."""
    version, gate = evidence.versions["champion"], evidence.gate
    if version is None or fault_of("champion", evidence):
        return told("guard", True, RULE, "not applicable", "there is no champion to compare with")
    older = ~evidence.arrived["champion"]
    pair = paired("champion", evidence, older)
    if pair is None or not compared("champion", evidence).fresh:
        return told("guard", True, RULE, "not applicable", "all test samples decide, the older ones among them")
    found = pair.bounded(gate.confidence)
    reason = (
        f"{pair.mine.value:.3f} against {pair.theirs.value:.3f} of {version} on {evidence.size_of(older)} from before its"
        f" promotion: difference {found.value:+.3f}, upper bound {found.high:+.3f}, needed at least {-gate.margin:+.3f}"
    )
    return measured("guard", True, RULE, found, -gate.margin, found.high >= -gate.margin, reason)
