"""Bring what landed into a run's workspace: partitions, index, ledger."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.errors import ContractBroken, NoData, UnknownName
from tasks.files import write_json
from tasks.index import Batch, write_index
from tasks.index import read_index as read_batches
from tasks.params import Params
from tasks.paths import INDEX, RAW
from tasks.run import intact
from tasks.run.settings import Settings

LEDGER = Path("data/batches.json")


@dataclass
class News:
    """What is new in the landing zone."""

    batches: list[str] = field(default_factory=list)  # names of the new ones
    problems: list[str] = field(default_factory=list)  # batches that cannot be used, and why
    waiting: list[str] = field(default_factory=list)  # not complete yet


def landing_of(s: Settings, params: Params) -> str:
    """The landing zone's address; a relative folder is below the checkout."""
    return _address(s, s.landing or params.ingest.landing)


def score_landing_of(s: Settings, params: Params) -> str:
    """The same of the zone of batches that are to be scored; "" where there is none."""
    landing = s.score_landing or params.score.landing
    return _address(s, landing) if landing else ""


def _address(s: Settings, landing: str) -> str:
    return landing if "://" in landing else str(s.home.parent / landing)


def bring_in(s: Settings, folder: Path, params: Params, release: Sequence[str]) -> News:
    """Ingest new batches into the workspace, which is the working directory, and push them to DVC's remote.

    A batch is known by its digest: landing it again changes nothing, under whatever name. A known name with another digest
    is refused when the first was accepted, and a new batch when the first was rejected. A batch out of which a sample was
    erased is not looked at again: its identity went with the sample.

    Args:
        s: where landing is.
        folder: the run's workspace.
        params: the run's parameters.
        release: names of rejected batches that a person brings in.

    Raises:
        UnknownName: `release` names a batch that was not rejected.
        NoData: the landing zone does not answer.
    """
    from tasks.ingest import digest, ingest
    from tasks.ingest.erased import ERASED, read_erased
    from tasks.ingest.landing import look, stamp

    ledger: list[dict[str, Any]] = json.loads((folder / LEDGER).read_text())["batches"]
    _check_release(ledger, release)
    erased = read_erased(folder / ERASED)
    landing = look(landing_of(s, params))
    news = News(waiting=list(landing.waiting))
    made: list[Batch] = []
    for landed in landing.batches:
        try:
            seen = stamp(landed)
            if _untouched(ledger, landed.name, seen, release):
                continue  # its files need not be read again
            status = _status(ledger, landed.name, digest(landed, params), release, news)
            if status is None:
                continue
            done = ingest(landed, params, folder / RAW, erased)
        except ContractBroken as broken:
            news.problems.append(f"batch {landed.name}: {broken}")
            continue
        ledger = [entry for entry in ledger if entry["name"] != landed.name]
        counts = {"rows": done.rows, "refused": done.refused}
        ledger.append({"name": landed.name, "digest": done.batch.digest, "stamp": seen, "status": status, **counts})
        made.append(done.batch)
        news.batches.append(landed.name)
        print(f"ingested {landed.name}: {done.rows} rows, {done.refused} refused", *done.examples, sep="\n  ", flush=True)
    if made:
        _keep(folder, made, ledger)
    return news


def _check_release(ledger: list[dict[str, Any]], release: Sequence[str]) -> None:
    rejected = {entry["name"] for entry in ledger if entry["status"] == "rejected"}
    in_already = {entry["name"] for entry in ledger} - rejected  # e.g. by the run that overtook the one tried again
    for name in release:
        if name not in rejected | in_already:
            raise UnknownName("batch to release:", name, rejected or {"(none was rejected)"})


def _untouched(ledger: list[dict[str, Any]], name: str, stamp: str, release: Sequence[str]) -> bool:
    known = next((entry for entry in ledger if entry["name"] == name), None)
    return known is not None and ("erased" in known or (known["stamp"] == stamp and name not in release))


def _status(ledger: list[dict[str, Any]], name: str, digest: str, release: Sequence[str], news: News) -> str | None:
    """The status a landed batch gets, or None when there is nothing to do for it."""
    twin = next((entry for entry in ledger if entry["digest"] == digest and entry["name"] != name), None)
    if twin:
        news.waiting.append(f"{name} holds what {twin['name']} holds, which was {twin['status']}: remove it")
        return None
    entry = next((entry for entry in ledger if entry["name"] == name), None)
    if entry is None:
        return "accepted"
    same = entry["digest"] == digest
    if entry["status"] == "rejected":
        return "released" if name in release else None if same else "accepted"
    if not same:
        from tasks.ingest import changed

        raise changed(entry["digest"], digest)
    return None


def _keep(folder: Path, made: list[Batch], ledger: list[dict[str, Any]]) -> None:
    """Add partitions to DVC and its remote, batches to the index and the ledger. None of the older files is needed."""
    from dvc.repo import Repo

    try:
        batches = read_batches(folder / INDEX)
    except NoData:
        batches = []
    write_index([*batches, *made], folder / INDEX)
    write_json(folder / LEDGER, {"batches": ledger})
    new = [str(RAW / partition.path) for batch in made for parts in batch.partitions.values() for partition in parts]
    with Repo() as repo, intact.kept(repo, new):
        repo.add([str(RAW)] if not (folder / f"{RAW}.dvc").is_file() else new)
        intact.push(repo, new)
