"""What making a version again came to, in the registry: `fused-model#verified#2`, or `fused-model#differs#3`.

Tags in GTO's grammar on the version's commit, one sequence of numbers for both words, written once and never moved, as
champions are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import Refused
from tasks.promote import registry
from tasks.promote.announce import announce, next_date_s, one_line, tag_object
from tasks.promote.registry import MODEL, Tag
from tasks.run.settings import Settings
from tasks.run.workspace import workspace

SAME = "bit-identical"
TRIES = 10  # others may take the next number meanwhile
_TAG = re.compile(rf"{MODEL}#(verified|differs)#([1-9]\d*)")


@dataclass(frozen=True)
class Attestation:
    """One entry: that version was made again, and how it compared."""

    number: int
    same: bool
    tag: Tag

    @property
    def outcome(self) -> str:
        """`bit-identical`, or the differences."""
        return self.tag.trailers.get("Outcome", SAME if self.same else "differs")


def attest(s: Settings, version: str, remade: Mapping[str, Any], run: str, by: str) -> dict[str, Any]:
    """Record the outcome on the version's commit.

    Twice is once: the same run gets the same answer.

    Args:
        s: where central is.
        version: e.g. `v1.4.0`.
        remade: what `tasks.reproduce.Outcome.as_json` tells.
        run: the id of the run that made it again.
        by: who asked for it.

    Returns:
        `version`, `tag`, `outcome` and `differing`.

    Raises:
        UnknownName: there is no such version.
        Refused: others took the next number again and again.
    """
    tag = registry.find(s.central, version)
    name = tag.name.removeprefix(f"{MODEL}@")
    with workspace(s, tag.commit, "attest") as work:
        for _ in range(TRIES):
            found = registry.tags(s.central)
            past = attestations(found)
            for done in past:
                if (done.tag.trailers.get("Run"), done.tag.trailers.get("Version")) == (one_line(run), name):
                    return {
                        "version": name,
                        "tag": done.tag.name,
                        "outcome": done.outcome,
                        "differing": list(remade["differing"]),
                    }
            facts = {
                "Version": name,
                "Outcome": "; ".join(remade["differing"]) or SAME,
                "Work": "; ".join(remade["work_differing"]) or "the same",
                "Run": run,
                "Asked-by": by,
                "Platform": remade["platform"],
                "Previous": past[-1].tag.object if past else "none",
            }
            announce(work, s.central, _object(work, tag, facts, past, next_date_s(found)))  # done or not: central says
    raise Refused(f"verify {name}: others took the next number {TRIES} times: ask again")


def _object(work: Path, tag: Tag, facts: Mapping[str, str], past: list[Attestation], date_s: int) -> dict[str, str]:
    word = "verified" if facts["Outcome"] == SAME else "differs"
    name = f"{MODEL}#{word}#{past[-1].number + 1 if past else 1}"
    line = f"{MODEL} {facts['Version']} was made again: {'the same bytes' if word == 'verified' else 'it differs'}"
    return {name: tag_object(work, name, tag.commit, date_s, line, facts)}


def attestations(found: list[Tag]) -> list[Attestation]:
    """All entries, by number; where two tasks took one number at once, the difference counts last."""
    entries = [Attestation(int(match[2]), match[1] == "verified", tag) for tag in found if (match := _TAG.fullmatch(tag.name))]
    return sorted(entries, key=lambda entry: (entry.number, not entry.same))
