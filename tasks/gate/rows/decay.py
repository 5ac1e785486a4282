"""Warning: what the champion is worth since its promotion, on samples that had no part in choosing it."""

import math

from tasks.gate.evidence import Evidence
from tasks.gate.reigning import aligned, fault_of, since
from tasks.gate.row import Row, measured, told
from tasks.intervals import Interval, quantile, standard_error

RULE = "the champion is not surely worse since its promotion than before, by more than gate.margin"


def judge(evidence: Evidence) -> Row:
    """Compare its scores on samples from before and after, which are independent."""
    version, arrived = evidence.versions["champion"], evidence.arrived["champion"]
    if version is None or fault_of("champion", evidence):
        return told("decay", False, RULE, "not applicable", "there is no champion to look at")
    groups = [len(set(evidence.groups[rows])) for rows in (arrived, ~arrived)]
    if min(groups) < 2:
        return told("decay", False, RULE, "not applicable", f"fewer than 2 groups arrived since {version} was promoted")
    after, before = since(evidence), evidence.tally(aligned("champion", evidence), ~arrived)
    half = quantile(evidence.gate.confidence, min(groups)) * math.hypot(standard_error(after), standard_error(before))
    lost = after.value - before.value
    found, most = Interval(lost, lost - half, lost + half), evidence.gate.margin
    reason = (
        f"{version} scores {after.value:.3f} on {evidence.size_of(arrived)} that arrived since its promotion,"
        f" {before.value:.3f} on {evidence.size_of(~arrived)} from before: difference {lost:+.3f}"
    )
    passed = found.high >= -most
    reason = reason if passed else f"{reason}; the data have changed, or it was chosen by luck"
    return measured("decay", False, RULE, found, -most, passed, reason)
