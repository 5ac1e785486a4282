"""Write tag objects and push them, all or none, create-only."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tasks.promote.registry import Tag
from tasks.run.git import IDENTITY, GitFailed, git


def tag_object(work: Path, name: str, commit: str, date_s: int, line: str, trailers: Mapping[str, str]) -> str:
    """Write one annotated tag object, without a ref; return its id.

    Args:
        work: a clone that has the commit.
        name: the tag's name.
        commit: what it names.
        date_s: the tagger's date, s since 1970.
        line: the message's first line, for people.
        trailers: the facts, one line each.
    """
    tagger = f"{IDENTITY['GIT_COMMITTER_NAME']} <{IDENTITY['GIT_COMMITTER_EMAIL']}> {date_s} +0000"
    header = f"object {commit}\ntype commit\ntag {name}\ntagger {tagger}\n"
    facts = "".join(f"{key}: {one_line(value)}\n" for key, value in trailers.items())
    return git("mktag", cwd=work, stdin=f"{header}\n{one_line(line)}\n\n{facts}")


def one_line(text: str) -> str:
    """A text on one line, so that nothing in it can pass for another trailer."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def next_date_s(tags: Iterable[Tag], now_s: float | None = None) -> int:
    """A date after every tag's: GTO orders events by date, and a clock may have gone back (s since 1970)."""
    now = int(time.time() if now_s is None else now_s)
    return max([now, *(tag.date_s + 1 for tag in tags)])


def announce(work: Path, central: str, objects: Mapping[str, str]) -> bool:
    """Push new tags in one atomic push.

    Args:
        work: a clone that has the tag objects.
        central: path or URL to push to.
        objects: tag name -> id of its object.

    Returns:
        False when one of them is in central already, from another push or from this one, cut off after it was done.

    Raises:
        GitFailed: the push failed, and central has none of them.
    """
    refs = {f"refs/tags/{name}": object_id for name, object_id in objects.items()}
    leases = [f"--force-with-lease={ref}:" for ref in refs]  # an empty lease: it must not exist
    try:
        git("push", "--quiet", "--atomic", *leases, central, *(f"{new}:{ref}" for ref, new in refs.items()), cwd=work)
    except GitFailed:
        if git("ls-remote", central, *refs, cwd=work):  # what git says differs between versions; what central holds does not
            return False
        raise
    return True
