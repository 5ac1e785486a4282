"""What has landed: the index of batches, their partitions, and the samples and events in them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import ContractBroken, NoData
from tasks.files import write_json
from tasks.paths import INDEX, RAW

WITHDRAWN = "withdrawn"  # the event after which a sample is nowhere; every other event is named after a target
EVENTS = pa.schema(
    [("batch", pa.string()), ("row", pa.int64()), *((n, pa.string()) for n in ("sample_id", "event", "value", "refused"))]
)
NO_DATA = (
    "no data here: `make run` lands a batch and runs the night; to reproduce a version,"
    " `git fetch --tags .nightloom/central.git`, `git checkout fused-model@v1.0.0` and `dvc pull` first"
)


@dataclass(frozen=True)
class Partition:
    """One immutable Parquet file under data/1_raw/, known by its content."""

    path: str  # below data/1_raw/, e.g. image/2026-11-01-3fa9c1d2-000.parquet
    rows: int
    md5: str

    @property
    def stem(self) -> str:
        """The file's name without folder and suffix: what derived files are called."""
        return Path(self.path).stem


@dataclass(frozen=True)
class Batch:
    """One landed batch: its name, the digest that is its identity, and partitions by modality (and `samples`), or `events`."""

    name: str
    digest: str  # sha256 over metadata.csv and its files' sha256
    partitions: Mapping[str, tuple[Partition, ...]]

    @property
    def key(self) -> str:
        """Name and digest in one word; what partitions are named after."""
        return f"{self.name}-{self.digest[:8]}"

    @property
    def of_samples(self) -> bool:
        """Whether samples landed in it, else events."""
        return "samples" in self.partitions


def read_index(path: Path = INDEX) -> list[Batch]:
    """Read the batches of an index (`data/1_raw.json` or `data/reference.json`), in the order in which they were accepted.

    Raises:
        NoData: the index is empty or absent.
        ContractBroken: it is not what `write_index` writes.
    """
    try:
        raw = json.loads(path.read_text()) if path.is_file() else {"batches": []}
        batches = [
            Batch(b["name"], b["digest"], {m: tuple(Partition(**p) for p in ps) for m, ps in b["partitions"].items()})
            for b in raw["batches"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ContractBroken(
            f"{path} is not an index of batches ({error}); restore it with `git checkout -- {path}`"
        ) from error
    if not batches:
        raise NoData(NO_DATA)
    return batches


def write_index(batches: list[Batch], path: Path = INDEX) -> None:
    """Write an index as canonical JSON."""
    rows = [
        {
            "name": b.name,
            "digest": b.digest,
            "partitions": {m: [{"path": p.path, "rows": p.rows, "md5": p.md5} for p in ps] for m, ps in b.partitions.items()},
        }
        for b in batches
    ]
    write_json(path, {"batches": rows})


def partitions(batches: list[Batch], name: str) -> list[tuple[Batch, Partition]]:
    """All partitions of a modality (or of `samples`) with their batches, in order."""
    return [(batch, partition) for batch in batches for partition in batch.partitions.get(name, ())]


def read_partition(partition: Partition, raw: Path = RAW) -> pa.Table:
    """Read one raw partition after comparing its content with the index.

    Raises:
        NoData: the file is absent.
        ContractBroken: its content is not what the index names.
    """
    path = raw / partition.path
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull {RAW}` brings it")
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != partition.md5:
        raise ContractBroken(
            f"{path} is not the file that was ingested (its md5 differs from {INDEX}): delete it, `dvc pull` it"
        )
    return pq.read_table(pa.BufferReader(content))


def read_samples(batches: list[Batch]) -> pa.Table:
    """All landed rows of these batches, with a column `batch` (the batch's key) before the others.

    Columns: `batch`, `row` int64, `sample_id`, `group` ("" when not given), `split` ("" when not given),
    `timestamp` float64 (s, null when not given), a string column per target (null = unlabelled), `has_<m>` bool and
    `<m>_timestamp` float64 (s, null when not given) per modality, `refused` ("" or why ingest refused the row).
    Columns that a batch does not have are null there.
    """
    tables = []
    for batch, partition in partitions(batches, "samples"):
        table = read_partition(partition)
        tables.append(table.add_column(0, "batch", pa.array([batch.key] * table.num_rows, pa.string())))
    return pa.concat_tables(tables, promote_options="default")


def read_events(batches: list[Batch]) -> pa.Table:
    """All landed events of these batches in the order in which they hold: that of acceptance, then of rows.

    Columns: `batch` (the batch's key), `row` int64, `sample_id`, `event`, `value`, `refused` ("" or why ingest
    refused the row).
    """
    tables = [EVENTS.empty_table()]
    for batch, partition in partitions(batches, "events"):
        table = read_partition(partition)
        table = table.add_column(0, "batch", pa.array([batch.key] * table.num_rows, pa.string()))
        tables.append(table.select(EVENTS.names))
    return pa.concat_tables(tables)
