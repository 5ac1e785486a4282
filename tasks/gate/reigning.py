"""Tonight's candidate against a reigning model on the same samples: the comparison behind `champion` and `anchor`.

Two things make a night's 95 % mean what it says.

*Which samples.* A model that was promoted because it did well on a test set looks better there than it is. Samples that arrived
since its promotion have chosen nothing yet: first test, then train (Gama, Sebastião, Rodrigues, "On Evaluating Stream Learning
Algorithms", Machine Learning 2013). They decide as soon as they are enough for an equal candidate to pass four times in five;
how much two such models differ is taken from the older samples, so that what the newer ones say has no part in whether they
are asked. Until then all test samples decide: there the reigning model has the advantage of having been chosen by them.

*How sure.* Of 365 nights at 95 % eighteen go wrong. A candidate that is let in though worse than the champion by the margin
does no lasting harm: the next ones are judged against the anchor, the best model ever, too. What nothing would take back is a
step down from the anchor or, in mode `better`, a step up that is none. There all nights of `gate.horizon` together err with
probability 1 - confidence, each with an equal part of it (Bonferroni: true whatever nights have in common).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from tasks.errors import ContractBroken
from tasks.gate.evidence import Evidence, Rows
from tasks.gate.row import Row, measured, told
from tasks.intervals import FEWEST_GROUPS, Interval, charge, one_more, quantile, standard_error, surely
from tasks.params import Gate
from tasks.tables import decided
from tasks.tally import Tally

BOUND = "the lower bound of candidate minus {who}, paired by sample, clustered by group, is above"
RULES = {"non-inferior": f"{BOUND} -gate.margin", "better": f"{BOUND} 0"}
POWER = 0.8  # with which samples that decide let an equal candidate pass (in mode better: one that is better by the margin)


@dataclass(frozen=True)
class Pair:
    """Candidate and reigning model on the same samples: their scores by group, and how many samples these are."""

    mine: Tally
    theirs: Tally
    samples: int

    @property
    def difference(self) -> Tally:
        """Candidate minus reigning model."""
        return self.mine.minus(self.theirs)

    @property
    def each(self) -> float:
        """What one independent sample counts."""
        return one_more(self.theirs, self.samples)

    def bounded(self, sure: float) -> Interval:
        """The difference with its one-sided bounds."""
        return surely(self.difference, self.each, sure)


@dataclass(frozen=True)
class Compared:
    """What samples tell of candidate and reigning model.

    Attributes:
        found: candidate minus reigning model, with its one-sided bounds.
        theirs: the reigning model's score.
        fresh: whether the samples that arrived since its promotion decide, else all.
        tells: the difference that would be seen with probability POWER.
    """

    found: Interval
    theirs: float
    fresh: bool
    tells: float


def against(who: str, evidence: Evidence) -> Row:
    """Judge by the one-sided lower bound of the paired difference.

    Non-inferiority of paired classifiers: the null hypothesis is "worse by the margin or more", and only data can reject
    it, so that little data means no promotion.
    """
    gate = evidence.gate
    rule = RULES[gate.mode].format(who=who)
    fault = fault_of(who, evidence)
    if fault:
        return told(who, True, rule, "fail", fault)
    version = evidence.versions[who]
    if version is None:
        return told(who, True, rule, "not applicable", f"there is no {who} yet: the floors decide")
    needed = -gate.margin if gate.mode == "non-inferior" else 0.0
    seen = compared(who, evidence)
    found, rows = seen.found, evidence.arrived[who] if seen.fresh else np.ones(len(evidence.ids), bool)
    since = " that arrived since its promotion" if seen.fresh else ""
    reason = (
        f"{seen.theirs + found.value:.3f} against {seen.theirs:.3f} of {version} on {evidence.size_of(rows)}{since}:"
        f" difference {found.value:+.3f}, lower bound {found.low:+.3f}, needed above {needed:+.3f};"
        f" so many samples tell {seen.tells:.3f} apart{_mcnemar(who, evidence, rows)}"
    )
    return measured(who, True, rule, found, needed, found.low > needed, reason)


def _mcnemar(who: str, evidence: Evidence, rows: Rows) -> str:
    """How often only one of the two models is right, and the exact p of both being right as often; it decides nothing.

    McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages", Psychometrika 1947.
    Samples must be independent: nothing is said where groups hold several, nor of another metric than accuracy.
    """
    if evidence.gate.metric != "accuracy" or len(set(evidence.groups[rows])) < rows.sum():
        return ""
    truth = evidence.truth[rows]
    mine, theirs = (
        (decided(answer[rows], evidence.output) == truth).reshape(len(truth), -1).all(axis=1)
        for answer in (evidence.candidate, aligned(who, evidence))
    )
    ours, others = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
    p = min(1.0, 2 * float(bdtr(min(ours, others), ours + others, 0.5))) if ours + others else 1.0
    return f"; it alone is right {ours} times, {who} alone {others} (McNemar: p = {p:.3f})"


def compared(who: str, evidence: Evidence) -> Compared:
    """Compare on the samples that arrived since the model's promotion, if they are enough, else on all."""
    arrived = evidence.arrived[who]
    newer, older, whole = (paired(who, evidence, rows) for rows in (arrived, ~arrived, np.ones(len(arrived), bool)))
    return weighed(newer, older, whole, confidence(who, evidence.gate), evidence.gate.margin)


def paired(who: str, evidence: Evidence, rows: Rows) -> Pair | None:
    """Candidate and reigning model on some of the samples; None where they are of fewer than two groups."""
    if len(set(evidence.groups[rows])) < 2:
        return None
    theirs = evidence.tally(aligned(who, evidence), rows)
    return Pair(evidence.tally(evidence.candidate, rows), theirs, int(rows.sum()))


def weighed(newer: Pair | None, older: Pair | None, whole: Pair | None, sure: float, margin: float) -> Compared:
    """Choose the samples that decide, and bound the difference on them.

    Args:
        newer, older: on samples that arrived since the reigning model's promotion, and before.
        whole: on all.
        sure: confidence of one side.
        margin: what newer samples must be able to tell.

    Raises:
        ContractBroken: all samples are of one group.
    """
    fresh = newer is not None and (older is None or _are_enough(newer, older, sure, margin))
    pair = newer if fresh else whole
    if pair is None:
        raise ContractBroken("a comparison needs at least 2 groups of samples")
    found = pair.bounded(sure)
    tells = found.value - found.low + quantile(POWER) * standard_error(pair.difference)
    return Compared(found, pair.theirs.value, fresh, tells)


def confidence(who: str, gate: Gate) -> float:
    """One-sided, of one night: what nothing takes back shares its error with all nights of the horizon."""
    stays = who == "anchor" or gate.mode == "better"
    return 1 - (1 - gate.confidence) / (gate.horizon if stays else 1)


def _are_enough(newer: Pair, older: Pair, sure: float, margin: float) -> bool:
    """Whether samples can tell the margin, judged by how much the two models differ on the others."""
    if newer.theirs.groups < FEWEST_GROUPS:
        return False
    error = standard_error(older.difference) * math.sqrt(older.samples / newer.samples)
    far = quantile(sure, newer.theirs.groups)
    return (far + quantile(POWER)) * error + charge(newer.each, far) <= margin


def since(evidence: Evidence) -> Tally:
    """The champion's score on samples that arrived since its promotion: they have chosen nothing, so it is not flattered."""
    return evidence.tally(aligned("champion", evidence), evidence.arrived["champion"])


def becomes_anchor(evidence: Evidence) -> bool:
    """Whether a promoted candidate is the best ever: the first one, or surely better than the anchor."""
    if evidence.versions["anchor"] is None:
        return True
    return compared("anchor", evidence).found.low > 0


def fault_of(who: str, evidence: Evidence) -> str:
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
    if not np.isfinite(aligned(who, evidence)).all():
        return f"predictions of {evidence.target} by {who} {version} hold NaN, or are empty"
    return ""


def aligned(who: str, evidence: Evidence) -> npt.NDArray[np.float64]:
    """The reigning model's answers to the judged samples, in their order."""
    ids, answers = evidence.reigning[who]
    place = {name: row for row, name in enumerate(ids)}
    return answers[[place[name] for name in evidence.ids]]
