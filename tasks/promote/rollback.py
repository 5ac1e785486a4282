"""An older version reigns again, because a person says so: the next reign, with the reason. Nothing is overwritten."""

from pathlib import Path
from typing import Any

from packaging.version import Version

from tasks.errors import Refused, WrongValue
from tasks.paths import BUNDLE
from tasks.promote import registry
from tasks.promote.announce import announce, next_date_s, one_line, tag_object
from tasks.promote.claim import pull
from tasks.promote.registry import MODEL, ROLLED_BACK, Reign, Tag
from tasks.run.pins import bundle_entry
from tasks.run.settings import Settings
from tasks.run.workspace import workspace

TRIES = 10  # promotions may take the next number meanwhile; a person's word still stands


def rollback(s: Settings, version: str, reason: str, run: str, approved_by: str) -> dict[str, Any]:
    """Let a version reign again.

    Twice is once: the same run gets the same answer.

    Args:
        s: where central, remote and cache are.
        version: e.g. `v1.4.0`.
        reason: why, for the record.
        run: the id of the run that asks.
        approved_by: the person.

    Returns:
        `version`, `number`, `tag` and `commit` of the reign, and `rolled_back`: False when that version reigns already.

    Raises:
        UnknownName: there is no such version; lists those that are there.
        WrongValue: no reason was given.
        NoData: the DVC remote has lost the version's bundle.
        Refused: others took the next number again and again.
    """
    if not one_line(reason):
        raise WrongValue("rollback: the reason is empty: say why, it is kept with the registry")
    tag = registry.find(s.central, version)
    with workspace(s, tag.commit, "rollback") as work:
        pull(work, BUNDLE)  # a champion whose bundle is lost would stop every later night
        facts = {"Run": run, "Commit": tag.commit, "Reason": reason, "Approved-by": approved_by}
        facts["Bundle"] = str(bundle_entry(work, tag.commit)["md5"])
        for _ in range(TRIES):
            found = registry.tags(s.central)
            reigns = registry.fold(found)
            if answer := _settled(reigns, tag, run):
                return answer
            announce(work, s.central, _object(work, tag, facts, reigns, next_date_s(found)))  # done or not: central says
    raise Refused(f"rollback to {version}: other promotions took the next number {TRIES} times: ask again")


def _settled(reigns: list[Reign], tag: Tag, run: str) -> dict[str, Any] | None:
    """The answer, when the registry has one already."""
    for reign in reigns:
        if reign.rolled_back and reign.trailers.get("Run") == one_line(run):
            return _answer(reign, rolled_back=True)
    if reigns and reigns[-1].version == _name(tag):
        return _answer(reigns[-1], rolled_back=False)
    return None


def _answer(reign: Reign, rolled_back: bool) -> dict[str, Any]:
    return {
        "version": reign.version,
        "number": reign.number,
        "tag": reign.tag,
        "commit": reign.commit,
        "rolled_back": rolled_back,
    }


def _name(tag: Tag) -> str:
    return tag.name.removeprefix(f"{MODEL}@")


def _object(work: Path, tag: Tag, facts: dict[str, str], reigns: list[Reign], date_s: int) -> dict[str, str]:
    """Write the tag object of the next reign, name -> id."""
    version, number = _name(tag), reigns[-1].number + 1 if reigns else 1
    left = _left_behind(reigns, version)
    trailers = {**facts, "Previous": reigns[-1].object if reigns else "none", "Anchor": _anchor(reigns, version, left)}
    if left:
        trailers[ROLLED_BACK] = ", ".join(left)
    name = f"{MODEL}#champion#{number}"
    line = f"{MODEL} {version} is champion #{number} again: {facts['Reason']}"
    return {name: tag_object(work, name, tag.commit, date_s, line, trailers)}


def _left_behind(reigns: list[Reign], version: str) -> list[str]:
    """The reigning version, and all that were first promoted after the wanted one last was."""
    if not reigns:
        return []
    first: dict[str, int] = {}
    for reign in reigns:
        first.setdefault(reign.version, reign.number)
    last = max((reign.number for reign in reigns if reign.version == version), default=reigns[-1].number)
    return sorted({reigns[-1].version} | {name for name, number in first.items() if number > last}, key=Version)


def _anchor(reigns: list[Reign], version: str, left: list[str]) -> str:
    """The best-ever version as of the wanted one's last reign: what was left behind is no measure any more."""
    numbers = [reign.number for reign in reigns if reign.version == version]
    best = registry.anchor_of([reign for reign in reigns if reign.number <= numbers[-1]]) if numbers else None
    gone = {*left, *registry.barred(reigns)}
    return best.version if best is not None and best.version not in gone else version
