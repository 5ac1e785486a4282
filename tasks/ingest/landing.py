"""What has landed: a sub-folder (or S3 prefix) per batch, complete once its metadata.csv is there, which is written last."""

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
NOT_YET = f"has no {METADATA} yet: it is written last"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
Found: TypeAlias = tuple[str, str, Store, str]  # name, place, store, why it is not ready


@dataclass(frozen=True)
class Landed:
    """One complete batch."""

    name: str
    place: str  # for messages, e.g. data/0_landing/2026-11-01
    store: Store


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
    """List a landing zone; one that itself holds metadata.csv is one batch, named after the folder.

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
    for name, place, store, problem in found:
        if not NAME.fullmatch(name):
            problems.append(f"{place!r} is no name for a batch: letters, digits, `.`, `_`, `-`, at most 64; rename it")
        elif problem:
            problems.append(f"{name} {problem}")
        else:
            batches.append(Landed(name, place, store))
    return Landing(tuple(batches), tuple(problems))


def stamp(landed: Landed) -> str:
    """Hash a batch's listing (paths, sizes, times or ETags): the same stamp means nothing was touched. Opens no file."""
    return hashlib.sha256("\n".join(landed.store.listing()).encode(errors="surrogateescape")).hexdigest()


def _in_folder(root: Path) -> Iterator[Found]:
    if not root.is_dir():
        raise NoData(f"the landing zone {root} is not here; make it, or set ingest.landing in params.yaml")
    if os.path.lexists(root / METADATA):
        yield root.resolve().name, str(root), Folder(root.resolve()), ""
        return
    for folder in sorted(root.iterdir()):
        if not folder.name.startswith(".") and folder.is_dir():
            yield folder.name, str(folder), Folder(folder), _unready(folder)


def _unready(folder: Path) -> str:
    if folder.is_symlink():
        return "is a symbolic link: land the folder itself"
    return "" if os.path.lexists(folder / METADATA) else NOT_YET


def _on_s3(landing: str) -> Iterator[Found]:
    from tasks.ingest.s3 import Prefix, connect, listed

    address = urlsplit(landing)
    bucket, path = address.netloc, address.path.strip("/")
    prefix = f"{path}/" if path else ""
    client = connect()

    def unready(below: str) -> str:
        found = listed(client, bucket, below + METADATA, "/", "Contents")
        return "" if any(item["Key"] == below + METADATA for item in found) else NOT_YET

    if not unready(prefix):
        yield (path.split("/")[-1] or bucket), landing.rstrip("/"), Prefix(client, bucket, prefix), ""
        return
    for item in listed(client, bucket, prefix, "/", "CommonPrefixes"):
        below = item["Prefix"]
        yield (
            below.removeprefix(prefix).strip("/"),
            f"s3://{bucket}/{below}".rstrip("/"),
            Prefix(client, bucket, below),
            unready(below),
        )
