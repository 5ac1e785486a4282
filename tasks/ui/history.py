"""The registry's history for people, out of central's tags: who reigned when, why, by whose word; every version."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import Version

from tasks.central.repository import create_central
from tasks.promote import registry
from tasks.promote.registry import MODEL, ROLLED_BACK, VERSION_TAG, Reign, Tag
from tasks.run.git import git
from tasks.run.settings import Settings, elsewhere

BEST = ("champion", "floor")  # the rows that say most of why a candidate was let in, the first that was answered
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Champion:
    """One reign.

    Attributes:
        number, version: of the reign.
        since: when it began, UTC.
        until: when the next one began; None of the one that reigns.
        rolled_back: whether a person brought back an older version.
        why: what spoke for it, in a line: of a rollback the person's reason.
        by: who or what approved.
        said: the reason of a person who approved a promotion, or nothing.
        run: the run that promoted it, or asked for the rollback.
    """

    number: int
    version: str
    since: str
    until: str | None
    rolled_back: bool
    why: str
    by: str
    said: str
    run: str


@dataclass(frozen=True)
class Made:
    """One version: when it was made and in which run, when it reigned, and what making it again came to.

    Attributes:
        version, since, run: its name, its time (UTC), its run.
        reigns: the numbers of its reigns.
        left: why a person left it behind; None of one that nobody did.
        again: outcomes of `verify`, the newest first.
    """

    version: str
    since: str
    run: str
    reigns: tuple[int, ...]
    left: str | None
    again: tuple[str, ...]


def history(s: Settings) -> tuple[list[Champion], list[Made]]:
    """All champions and all versions, the newest first.

    Raises:
        TasksError: central does not answer, or holds what it should not.
    """
    repository = at_hand(s)
    tags = registry.tags(str(repository))
    reigns = registry.fold(tags)
    return champions(reigns, _messages(repository, {reign.commit for reign in reigns})), made(tags, reigns)


def champions(reigns: list[Reign], messages: Mapping[str, str]) -> list[Champion]:
    """The reigns, the newest first; `messages` are those of the commits that closed the runs."""
    ends: list[str | None] = [moment(reign.date_s) for reign in reigns[1:]]
    found = [
        Champion(
            reign.number,
            reign.version,
            moment(reign.date_s),
            until,
            reign.rolled_back,
            reign.trailers["Reason"] if reign.rolled_back else spoke_for_it(messages.get(reign.commit, "")),
            reign.trailers.get("Approved-by", "by hand"),
            "" if reign.rolled_back else reign.trailers.get("Reason", ""),
            reign.trailers.get("Run", ""),
        )
        for reign, until in zip(reigns, [*ends, None], strict=False)
    ]
    return found[::-1]


def made(tags: list[Tag], reigns: list[Reign]) -> list[Made]:
    """The versions, the newest first."""
    from tasks.reproduce.attest import attestations  # it imports much, and is wanted once somebody looks

    again = attestations(tags)
    left = registry.barred(reigns)
    found = {match[1]: tag for tag in tags if (match := VERSION_TAG.fullmatch(tag.name))}
    return [
        Made(
            name,
            moment(found[name].date_s),
            found[name].trailers.get("Run", ""),
            tuple(reign.number for reign in reigns if reign.version == name),
            left[name].trailers.get("Reason", ROLLED_BACK) if name in left else None,
            tuple(
                f"{one.outcome}, {moment(one.tag.date_s)}" for one in reversed(again) if one.tag.commit == found[name].commit
            ),
        )
        for name in sorted(found, key=Version, reverse=True)
    ]


def spoke_for_it(message: str) -> str:
    """Why a candidate was let in, out of its commit's message (tasks/run/close.py): rows such as `pass: champion: …`."""
    rows = [line.split(": ", 2) for line in message.splitlines() if line.startswith("pass: ")]
    reasons = {row[1]: row[2] for row in rows if len(row) == 3}
    return next((f"{name}: {reasons[name]}" for name in BEST if name in reasons), message.partition("\n")[0])


def moment(date_s: int) -> str:
    """Seconds since 1970 as a time that people read, UTC."""
    return f"{datetime.fromtimestamp(date_s, UTC):%Y-%m-%d %H:%M}"


def at_hand(s: Settings) -> Path:
    """Central itself, or a copy of the registry's tags and their commits below <home>/ui, as new as central is."""
    if Path(s.central).is_dir() or not elsewhere(s.central):
        return Path(s.central)  # one that is not there: the registry says so
    copy = s.home / "ui" / "registry.git"
    tags = f"+refs/tags/{MODEL}*:refs/tags/{MODEL}*"
    with _ONE_AT_A_TIME:
        create_central(copy)
        git("fetch", "--quiet", "--no-tags", "--depth=1", s.central, tags, cwd=copy)
    return copy


def _messages(repository: Path, commits: Iterable[str]) -> dict[str, str]:
    wanted = sorted(commits)
    if not wanted:
        return {}
    told = git("log", "--no-walk", "--format=%H%x1f%B%x1e", *wanted, cwd=repository)
    pairs = (record.strip("\n").split("\x1f", 1) for record in told.split("\x1e") if "\x1f" in record)
    return {commit.strip(): message for commit, message in pairs}
