"""What lies in raw partitions, held against the index: samples, events, or a modality's bytes."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import ContractBroken, NoData
from tasks.index import Batch, Partition, partitions
from tasks.paths import INDEX, RAW

WITHDRAWN = "withdrawn"  # the event after which a sample is nowhere; every other event is named after a target
EVENTS = pa.schema(
    [("batch", pa.string()), ("row", pa.int64()), *((n, pa.string()) for n in ("sample_id", "event", "value", "refused"))]
)


def read_partition(partition: Partition, raw: Path = RAW) -> pa.Table:
    """Read one raw partition after comparing its content with the index.

    Raises:
        NoData: the file is absent.
        ContractBroken: its content is not what the index names.
    """
    content = there(partition, raw).read_bytes()
    check_digest(partition, hashlib.md5(content, usedforsecurity=False).hexdigest(), raw)
    return pq.read_table(pa.BufferReader(content))


def there(partition: Partition, raw: Path = RAW) -> Path:
    """The partition's file.

    Raises:
        NoData: it is absent.
    """
    path = raw / partition.path
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull {RAW}` brings it")
    return path


def check_digest(partition: Partition, md5: str, raw: Path = RAW) -> None:
    """Compare the md5 of the partition's file with the index.

    Raises:
        ContractBroken: it is another one.
    """
    if md5 != partition.md5:
        raise ContractBroken(
            f"{raw / partition.path} is not the file that was ingested (its md5 differs from {INDEX}): delete it, `dvc pull` it"
        )


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
