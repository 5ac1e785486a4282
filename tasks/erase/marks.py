"""Versions that an erasure made unreproducible: tags in GTO's grammar on their commits, such as `fused-model#erased#1`."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from tasks.promote import registry
from tasks.promote.announce import announce, next_date_s, tag_object
from tasks.promote.registry import MODEL, Tag

ERASED_TAG = re.compile(rf"{MODEL}#erased#([1-9]\d*)")
SAID = "not reproducible: erased data"


def marks(central: str) -> list[Tag]:
    """The marks in central."""
    return [tag for tag in registry.tags(central) if ERASED_TAG.fullmatch(tag.name)]


def mark(clone: Path, central: str, versions: Mapping[str, Tag], fingerprints: Collection[str], reason: str) -> None:
    """Mark versions; one that is marked for these samples already stays as it is.

    Args:
        clone: has the commits.
        central: where the tags go.
        versions: by name.
        fingerprints: of the erased samples.
        reason: why.
    """
    for version, tag in versions.items():
        while not _marked(known := marks(central), tag.commit, fingerprints):
            number = max((int(ERASED_TAG.fullmatch(m.name)[1]) for m in known), default=0) + 1  # type: ignore[index]
            name = f"{MODEL}#erased#{number}"
            trailers = {"Erased": SAID, "Version": version, "Samples": " ".join(sorted(fingerprints)), "Reason": reason}
            date_s = next_date_s(registry.tags(central))
            made = tag_object(clone, name, tag.commit, date_s, f"{MODEL} {version} is {SAID}", trailers)
            announce(clone, central, {name: made})  # lost to another mark: the next number


def _marked(known: list[Tag], commit: str, fingerprints: Collection[str]) -> bool:
    return any(m.commit == commit and set(fingerprints) <= set(m.trailers.get("Samples", "").split()) for m in known)
