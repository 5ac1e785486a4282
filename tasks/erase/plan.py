"""What an erasure will do, from what is there now: so that a second try finishes what a killed one began."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.erase.find import PERHAPS, YES, Wanted
from tasks.erase.history import MODELS, History, Named
from tasks.erase.pages import Artifact, artifacts, pages
from tasks.erase.predictions import holding as predicted
from tasks.erase.stores import Stores
from tasks.promote import registry
from tasks.promote.registry import Tag
from tasks.run.admit import page_folder
from tasks.run.atwork import runs
from tasks.run.settings import Settings


@dataclass(frozen=True)
class Plan:
    """What goes, and what is told.

    Attributes:
        raw: md5 of each raw partition that holds one of the samples -> its path below data/1_raw.
        derived: other objects that hold one, or may.
        memo: names in the memo of their results.
        pages: files below <home>.
        artifacts: files in MLflow.
        versions: those that cannot be made again once the raw partitions are gone, with their tags.
        roles: version -> what the samples were to it, e.g. `train`.
        predictions: files beside DVC's objects.
        landed: files in the landing zone, below it, that are the user's to delete.
        uploads: what is told of those to S3 that nobody finished, and may hold anything.
    """

    raw: dict[str, str]
    derived: set[str]
    memo: list[str]
    pages: list[Path]
    artifacts: list[Artifact]
    versions: dict[str, Tag]
    roles: dict[str, list[str]]
    predictions: list[str] = field(default_factory=list)
    landed: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.raw or self.derived or self.memo or self.pages or self.artifacts or self.predictions)


def make(s: Settings, clone: Path, stores: Stores, samples: Collection[str]) -> Plan:
    """Look through both stores, the history, the pages and MLflow.

    Args:
        s: where things are.
        clone: of central.
        stores: DVC's cache and remote.
        samples: ids.
    """
    wanted = Wanted(frozenset(samples))
    told, history = stores.judge(wanted), History(clone, stores)
    certain = {oid for oid, answer in told.items() if answer == YES}
    raw = {oid: history.raw[oid] for oid in sorted(certain & history.raw.keys())}
    holding = history.holding(set(raw))
    derived = (certain - raw.keys()) | ({oid for oid, answer in told.items() if answer == PERHAPS} - _spared(history, holding))
    memo = [path for path, partition, result in stores.memo() if partition in raw or result in derived]
    clean = {sha for sha in history.commits if sha not in holding}
    folders = {page_folder(run.run) for run in runs(clone) if run.commit in clean}
    versions = {version: tag for version, tag in registry.versions(s.central).items() if tag.commit in holding}
    roles = {version: _roles(history, stores, tag.commit, set(raw), wanted) for version, tag in versions.items()}
    shown = pages(s, wanted, folders)
    said = predicted(stores.shelf, wanted)
    return Plan(raw, derived, memo, shown, artifacts(s, wanted, clean), versions, roles, said, _landed(stores, raw, wanted))


def _spared(history: History, holding: set[str]) -> set[str]:
    """Objects whose text is not judged: those of commits that never held the samples, and models."""
    spared = set()
    for sha in history.commits:
        for oid, path in history.objects(sha).items():
            if sha not in holding or (path.startswith(MODELS) and not path.endswith(".parquet")):
                spared.add(oid)
    return spared


def _roles(history: History, stores: Stores, commit: str, raw: set[str], wanted: Wanted) -> list[str]:
    named: Named = history.commits[commit]
    found = {"its encoders' reference"} if not raw.isdisjoint(named.reference) else set()
    for oid, path in history.objects(commit).items():
        if path == "data/3_manifest/samples.parquet":
            found |= {f"split {split or 'none'}" for split in _column(stores, oid, "split", wanted)}
    return sorted(found)


def _landed(stores: Stores, raw: dict[str, str], wanted: Wanted) -> list[str]:
    """`<batch>/<file>` of the samples, from the raw partitions; `<batch>` is what their file is named after."""
    found: set[str] = set()
    for oid, path in raw.items():
        batch = _batch(path)
        table = "events.csv" if path.startswith("events/") else "metadata.csv"
        found.add(f"{batch}/{table}")
        found |= {f"{batch}/{name}" for name in _column(stores, oid, "file_name", wanted) if name}
    return sorted(found)


def _batch(path: str) -> str:
    """`image/night-1-3fa9c1d2-000.parquet` and `samples/night-1-3fa9c1d2.parquet` are of `night-1`."""
    folder, _, name = path.partition("/")
    stem = name.removesuffix(".parquet")
    return stem.rsplit("-", 1 if folder in {"samples", "events"} else 2)[0]


def _column(stores: Stores, oid: str, column: str, wanted: Wanted) -> Iterable[str]:
    try:
        with stores.open(oid) as file:
            parquet = pq.ParquetFile(file)
            if not {"sample_id", column} <= set(parquet.schema_arrow.names):
                return []
            rows = parquet.read(columns=["sample_id", column]).to_pylist()
    except (FileNotFoundError, pa.ArrowException):
        return []
    return [str(row[column] or "") for row in rows if row["sample_id"] in wanted.samples]
