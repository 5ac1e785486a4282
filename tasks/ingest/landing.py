"""What has landed: a sub-folder (or S3 prefix) per batch, complete once its table is there, which is written last.

The table is metadata.csv (a batch of samples) or events.csv (a batch of events: withdrawals, late labels, corrections).
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from tasks.errors import ContractBroken, NoData
from tasks.ingest.folder import Folder
from tasks.ingest.store import Store

METADATA = "metadata.csv"
EVENTS = "events.csv"
TABLES = (METADATA, EVENTS)
NOT_YET = f"has no {METADATA} yet: it is written last"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Landed:
    """One complete batch."""

    name: str
    place: str  # for messages, e.g. data/0_landing/2026-11-01
    store: Store
    tables: tuple[str, ...] = (METADATA,)  # those of TABLES that it holds

    @property
    def of_events(self) -> bool:
        """Whether it is a batch of events, else one of samples.

        Raises:
            ContractBroken: it is both.
        """
        if len(self.tables) > 1:
            raise ContractBroken(
                f"{self.place} holds both {METADATA} and {EVENTS}: a batch is one or the other; land the events in a"
                " folder of their own"
            )
        return self.tables == (EVENTS,)


Found: TypeAlias = tuple[Landed, str]  # and why it is not ready


@dataclass(frozen=True)
class Landing:
    """What a landing zone holds."""

    batches: tuple[Landed, ...]
    waiting: tuple[str, ...]  # why a sub-folder is no batch (yet)


def waiting(landing: str) -> list[str]:
    """Why some sub-folders of a landing zone are no batches, e.g. "2026-11-05 has no metadata.csv yet: it is written last"."""
    return list(look(landing).waiting)


def list_batches(landing: str) -> list[Landed]:
    """The complete batches of a landing zone, in name order (see `look`)."""
    return list(look(landing).batches)


def look(landing: str) -> Landing:
    """List a landing zone; one that itself holds a table is one batch, named after the folder.

    Args:
        landing: a folder, or `s3://bucket/prefix`.

    Raises:
        NoData: the folder is absent, or the bucket does not answer.
        ContractBroken: another scheme than s3.
    """
    if landing.startswith("s3://"):
        found = _on_s3(landing)
    elif "://" in landing:
        raise ContractBroken(f"ingest.landing must be a folder or s3://bucket/prefix, got {landing!r}")
    else:
        found = _in_folder(Path(landing))
    batches: list[Landed] = []
    problems: list[str] = []
    for landed, problem in found:
        if not NAME.fullmatch(landed.name):
            problems.append(f"{landed.place!r} is no name for a batch: letters, digits, `.`, `_`, `-`, at most 64; rename it")
        elif problem:
            problems.append(f"{landed.name} {problem}")
        else:
            batches.append(landed)
    return Landing(tuple(batches), tuple(problems))


def stamp(landed: Landed) -> str:
    """Hash a batch's listing (paths, sizes, times or ETags): the same stamp means nothing was touched. Opens no file."""
    return hashlib.sha256("\n".join(landed.store.listing()).encode(errors="surrogateescape")).hexdigest()


def _in_folder(root: Path) -> Iterator[Found]:
    if not root.is_dir():
        raise NoData(f"the landing zone {root} is not here; make it, or set ingest.landing in params.yaml")
    if tables := _tables(root):
        yield Landed(root.resolve().name, str(root), Folder(root.resolve()), tables), ""
        return
    for folder in sorted(root.iterdir()):
        if not folder.name.startswith(".") and folder.is_dir():
            tables = _tables(folder)
            problem = "is a symbolic link: land the folder itself" if folder.is_symlink() else "" if tables else NOT_YET
            yield Landed(folder.name, str(folder), Folder(folder), tables), problem


def _tables(folder: Path) -> tuple[str, ...]:
    return tuple(name for name in TABLES if os.path.lexists(folder / name))


def _on_s3(landing: str) -> Iterator[Found]:
    from tasks.ingest.s3 import Prefix, connect, listed

    address = urlsplit(landing)
    if "@" in address.netloc:
        raise ContractBroken("ingest.landing holds a login: take it out, keys come from AWS_ACCESS_KEY_ID and the like")
    bucket, path = address.netloc, address.path.strip("/")
    prefix = f"{path}/" if path else ""
    client = connect()

    def tables(below: str) -> tuple[str, ...]:
        keys = {item["Key"] for name in TABLES for item in listed(client, bucket, below + name, "/", "Contents")}
        return tuple(name for name in TABLES if below + name in keys)

    if found := tables(prefix):
        yield Landed(path.split("/")[-1] or bucket, landing.rstrip("/"), Prefix(client, bucket, prefix), found), ""
        return
    for item in listed(client, bucket, prefix, "/", "CommonPrefixes"):
        below = item["Prefix"]
        name, place = below.removeprefix(prefix).strip("/"), f"s3://{bucket}/{below}".rstrip("/")
        found = tables(below)
        yield Landed(name, place, Prefix(client, bucket, below), found), "" if found else NOT_YET
