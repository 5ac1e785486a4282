"""The registry of record: annotated tags in GTO's grammar in central, folded by number.

    fused-model@v1.4.0        a version: this commit's bundle
    fused-model#champion#7    the 7th reign: the version of this commit reigns
    fused-model#verified#2    this commit's version was made again, bit for bit (`differs`: it was not; see tasks/reproduce)

Order is the number, never a clock. Nothing is overwritten: a rollback is the next number on an older version's commit.
`gto show` and `gto history` read the same tags.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import Version

from tasks.errors import ContractBroken, NoData, UnknownName
from tasks.run.git import git
from tasks.run.settings import elsewhere

MODEL = "fused-model"
VERSION_TAG = re.compile(rf"{MODEL}@(v(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*))")
ROLLED_BACK = "Rolled-back"  # the trailer that names the versions a person left behind
REIGN_TAG = re.compile(rf"{MODEL}#champion#([1-9]\d*)")

# The name last: it is never empty, and what git prints gets stripped (\x1e and \x1f are white space to Python).
_FIELDS = ("objectname", "*objectname", "creatordate:unix", "contents:trailers:only,unfold", "refname:strip=2")
_FORMAT = "%1f".join(f"%({name})" for name in _FIELDS) + "%1e"


@dataclass(frozen=True)
class Tag:
    """One tag: its name, its own object, the commit it names, its date (s since 1970) and its message's trailers."""

    name: str
    object: str
    commit: str
    date_s: int
    trailers: Mapping[str, str]


@dataclass(frozen=True)
class Reign:
    """One entry of the registry: from this number on, this version is the champion."""

    number: int
    version: str
    tag: str
    commit: str
    object: str = ""  # the tag's own object: what the next reign names as its predecessor
    date_s: int = 0  # s since 1970; for people, never for order
    trailers: Mapping[str, str] = field(default_factory=dict)

    @property
    def rolled_back(self) -> bool:
        """Whether a person let an older version reign again; a promotion has a reason too, but also its run's report."""
        return "Reason" in self.trailers and "Report" not in self.trailers


def champion(central: str) -> Reign | None:
    """The reigning version, or None before the first promotion.

    Args:
        central: path or URL of the repository that holds the registry.
    """
    reigns = history(central)
    return reigns[-1] if reigns else None


def anchor(central: str) -> Reign | None:
    """The best-ever version, as the newest promotion named it, or None before the first one."""
    return anchor_of(history(central))


def anchor_of(reigns: list[Reign]) -> Reign | None:
    """The reign in which the version that the newest `Anchor:` trailer names was first promoted.

    Raises:
        ContractBroken: the trailer names a version that never reigned.
    """
    for reign in reversed(reigns):
        if "Anchor" in reign.trailers:  # a tag made by hand with `gto assign` has none: the anchor stays what it was
            wanted = reign.trailers["Anchor"]
            found = next((r for r in reigns if r.version == wanted), None)
            if found is None:
                raise ContractBroken(f"{reign.tag} names {wanted} as anchor, but no tag says that it ever reigned")
            return found
    return reigns[-1] if reigns else None


def barred(reigns: list[Reign]) -> dict[str, Reign]:
    """Versions that a person rolled back from, each with the rollback; one that reigns again is not among them."""
    found: dict[str, Reign] = {}
    for reign in reigns:
        if ROLLED_BACK in reign.trailers:
            found |= dict.fromkeys(reign.trailers[ROLLED_BACK].split(", "), reign)
        found.pop(reign.version, None)
    return found


def history(central: str) -> list[Reign]:
    """All reigns, by number.

    Raises:
        NoData: there is no such repository.
        ContractBroken: a champion tag on a commit that has no version.
    """
    return fold(tags(central))


def fold(found: list[Tag]) -> list[Reign]:
    """Turn tags into reigns; see `history`."""
    named = {tag.commit: version for version, tag in sorted(_versions(found).items(), key=lambda item: Version(item[0]))}
    reigns = []
    for tag in found:
        match = REIGN_TAG.fullmatch(tag.name)
        if match is None:
            continue
        if tag.commit not in named:
            raise ContractBroken(
                f"{tag.name} names commit {tag.commit[:12]}, which has no version: `gto register` it in central"
            )
        reigns.append(Reign(int(match[1]), named[tag.commit], tag.name, tag.commit, tag.object, tag.date_s, tag.trailers))
    return sorted(reigns, key=lambda reign: reign.number)


def versions(central: str) -> dict[str, Tag]:
    """All versions with their tags, oldest version first."""
    found = _versions(tags(central))
    return {version: found[version] for version in sorted(found, key=Version)}


def find(central: str, version: str) -> Tag:
    """The tag of one version, given as `v1.4.0` or `fused-model@v1.4.0`.

    Raises:
        UnknownName: there is no such version; lists those that are there.
    """
    known = versions(central)
    name = version.removeprefix(f"{MODEL}@")
    if name not in known:
        raise UnknownName("version", version, list(known) or ["none yet: nothing was promoted"])
    return known[name]


def tags(central: str) -> list[Tag]:
    """All tags of the model in central.

    Raises:
        NoData: there is no such repository.
    """
    with readable(central) as repository:
        listed = git("for-each-ref", f"--format={_FORMAT}", f"refs/tags/{MODEL}[@#]*", cwd=repository)
    return [_tag(record.lstrip("\n")) for record in listed.split("\x1e") if record.strip()]


def _tag(record: str) -> Tag:
    own, peeled, date_s, trailers, name = record.split("\x1f", 4)
    pairs = (line.split(": ", 1) for line in trailers.splitlines() if ": " in line)
    return Tag(name, own, peeled or own, int(date_s or 0), {key: value.strip() for key, value in pairs})


def _versions(found: list[Tag]) -> dict[str, Tag]:
    matches = ((VERSION_TAG.fullmatch(tag.name), tag) for tag in found)
    return {match[1]: tag for match, tag in matches if match is not None}


@contextmanager
def readable(central: str) -> Iterator[Path]:
    """Give central as a repository on this machine: itself, or a bare copy of what is behind a URL.

    Raises:
        NoData: the path does not exist.
    """
    if Path(central).is_dir():
        yield Path(central)
        return
    if not elsewhere(central):
        raise NoData(f"no repository at {central}: `make run` creates it, or set NIGHTLOOM_CENTRAL to where it is")
    with tempfile.TemporaryDirectory(prefix="nightloom-registry-") as folder:
        git("clone", "--quiet", "--bare", central, folder)
        yield Path(folder)
