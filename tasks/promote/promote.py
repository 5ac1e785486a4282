"""Make a closed run's verdict true: a version and the next champion, once, whoever asks and however often."""

from pathlib import Path
from typing import Any

from tasks.errors import Overtaken, Refused, WrongValue
from tasks.paths import BUNDLE, CHAMPION
from tasks.promote import registry
from tasks.promote.announce import announce, next_date_s, one_line, tag_object
from tasks.promote.bump import FIRST, bump, level
from tasks.promote.claim import Claim, pull, read_claim
from tasks.promote.registry import MODEL, VERSION_TAG, Reign, Tag
from tasks.run.settings import Settings
from tasks.run.workspace import workspace


def promote(s: Settings, run: str, commit: str, approved_by: str, reason: str = "") -> dict[str, Any]:
    """Register the bundle of a closed run as a version and as the next champion.

    Twice is once: the same run and commit get the same answer.

    Args:
        s: where central, remote and cache are.
        run: the run's id.
        commit: the commit that closed it.
        approved_by: who or what approved, for the record.
        reason: why a person did; the gate's are in its verdict.

    Returns:
        `version`, `number`, `tag` and `commit` of the reign, and `promoted`. When the bundle is the champion's, byte for byte,
        there is nothing new: they are the champion's, `promoted` is False and nothing was written. The same when a person
        rolled back from this very bundle: then `refused` says so.

    Raises:
        Overtaken: the verdict is about another champion than the one that reigns now.
        Refused: the verdict is no "promote", or wants a person's word and there is no reason.
        ContractBroken: the commit's bundle or data is not what the verdict names.
        WrongValue: nobody approved.
    """
    if not one_line(approved_by):
        raise WrongValue("promote: approved_by is empty: name who or what approved, e.g. `gate` or a login")
    with workspace(s, commit, "promote") as work:
        return crown(s.central, work, read_claim(work, run, commit, approved_by, reason))


def crown(central: str, work: Path, claim: Claim) -> dict[str, Any]:
    """Write a claim's tags to central, or find what central says of it already; see `promote`."""
    answer = _settled(claim, registry.history(central))
    if answer is None:
        announce(work, central, _objects(work, claim, registry.tags(central)))  # won or lost: central says
        answer = _settled(claim, registry.history(central))
    if answer is None:
        raise Refused(f"a version tag stands in {central} without its champion #{claim.number}: see `gto history` there")
    return answer


def _settled(claim: Claim, reigns: list[Reign]) -> dict[str, Any] | None:
    """The answer, when the registry has one already; None when this claim is next.

    Raises:
        Overtaken: another run won, or the verdict names a champion that does not reign.
    """
    for reign in reigns:
        mine = reign.trailers.get("Run") == one_line(claim.run) and reign.trailers.get("Commit") == claim.commit
        if reign.number == claim.number and mine:
            return _answer(reign, promoted=True)
    last = reigns[-1] if reigns else None
    against, named = claim.number - 1, claim.verdict["champion"]["version"]
    if (last.number if last else 0) != against or (last and last.version != named):
        now = (
            f"champion #{last.number} is {last.version} of run {last.trailers.get('Run', '?')}"
            if last
            else "there is no champion"
        )
        raise Overtaken(f"{now}; the verdict of run {claim.run} was against #{against} ({named}): run again")
    if last and last.trailers.get("Bundle") == claim.bundle:
        return _answer(last, promoted=False)
    return _left_behind(claim, reigns)


def _left_behind(claim: Claim, reigns: list[Reign]) -> dict[str, Any] | None:
    """The answer to content that a person rolled back from: only a person brings it back."""
    left = registry.barred(reigns)
    for reign in reigns:
        if reign.version in left and reign.trailers.get("Bundle") == claim.bundle:
            by = left[reign.version]
            why = f"rolled back by #{by.number}: {by.trailers.get('Reason', 'no reason given')}"
            return {**_answer(reign, promoted=False), "refused": f"this content is {reign.version}, {why}"}
    return None


def _answer(reign: Reign, promoted: bool) -> dict[str, Any]:
    return {"version": reign.version, "number": reign.number, "tag": reign.tag, "commit": reign.commit, "promoted": promoted}


def _objects(work: Path, claim: Claim, tags: list[Tag]) -> dict[str, str]:
    """Write the tag objects, name -> id: a version for new content, and the reign.

    Content that has a version keeps it: it returns to the throne under the name it had.
    """
    reigns, date_s = registry.fold(tags), next_date_s(tags)
    reign = f"{MODEL}#champion#{claim.number}"
    for tag in tags:
        if (known := VERSION_TAG.fullmatch(tag.name)) and tag.trailers.get("Bundle") == claim.bundle:
            line = f"{MODEL} {known[1]} is champion #{claim.number} again"
            return {reign: tag_object(work, reign, tag.commit, date_s, line, _trailers(claim, reigns, known[1]))}
    version, change = _name(work, reigns, tags)
    trailers, name = _trailers(claim, reigns, version), f"{MODEL}@{version}"
    return {
        name: tag_object(work, name, claim.commit, date_s, f"{MODEL} {version}: {change}", trailers),
        reign: tag_object(work, reign, claim.commit, date_s, f"{MODEL} {version} is champion #{claim.number}", trailers),
    }


def _name(work: Path, reigns: list[Reign], tags: list[Tag]) -> tuple[str, str]:
    """The new version's name, and why it is that one."""
    if not reigns:
        return FIRST, "the first"
    pull(work, CHAMPION)
    change = level(work, reigns[-1].commit, work / CHAMPION, work / BUNDLE)
    known = [match[1] for tag in tags if (match := VERSION_TAG.fullmatch(tag.name))]
    return bump(known, change), f"{change} change since {reigns[-1].version}"


def _trailers(claim: Claim, reigns: list[Reign], version: str) -> dict[str, str]:
    best = registry.anchor_of(reigns)
    return {
        "Run": claim.run,
        "Commit": claim.commit,
        "Previous": reigns[-1].object if reigns else "none",
        "Report": f"sha256:{claim.report}",
        "Approved-by": claim.approved_by,
        **({"Reason": claim.reason} if claim.reason else {}),
        "Anchor": version if best is None or claim.verdict["becomes_anchor"] else best.version,
        "Bundle": claim.bundle,
    }
