"""What lies in raw partitions, held against the index: samples, events, or a modality's bytes."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import ContractBroken, NoData
from tasks.files import file_digest
from tasks.index import Batch, Partition, partitions
from tasks.parallel import evenly
from tasks.paths import INDEX, RAW

Result = TypeVar("Result")

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
    path = _there(partition, raw)
    content = path.read_bytes()
    _check(path, hashlib.md5(content, usedforsecurity=False).hexdigest(), partition)
    return pq.read_table(pa.BufferReader(content))


def _there(partition: Partition, raw: Path) -> Path:
    path = raw / partition.path
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull {RAW}` brings it")
    return path


def _check(path: Path, md5: str, partition: Partition) -> None:
    if md5 != partition.md5:
        raise ContractBroken(
            f"{path} is not the file that was ingested (its md5 differs from {INDEX}): delete it, `dvc pull` it"
        )


@dataclass(frozen=True)
class Stretch:
    """Consecutive samples of a raw partition, which whoever works on them reads by himself: small to send.

    Attributes:
        path: of the partition's file.
        md5: of its content.
        group: a row group of it.
        begin: the first row there.
        end: the row behind the last one.
    """

    path: Path
    md5: str
    group: int
    begin: int
    end: int

    def read(self) -> list[bytes]:
        """The samples' bytes."""
        found: list[bytes] = _group(self.path, self.md5, self.group).slice(self.begin, self.end - self.begin).to_pylist()
        return found


@lru_cache(maxsize=1)
def _group(path: Path, md5: str, number: int) -> pa.ChunkedArray:
    """Column `data` of a row group; by its content's md5 too, since another file may stand there later."""
    with _opened(path) as file:
        return file.read_row_group(number, columns=["data"], use_threads=False)["data"]


def _opened(path: Path) -> pq.ParquetFile:
    """To be read without threads, which do not survive a fork."""
    return pq.ParquetFile(path, pre_buffer=False)


def stretches(partition: Partition, parts: int, raw: Path = RAW) -> list[Stretch]:
    """Cut a partition into stretches, in their order.

    Args:
        partition: one whose file is whole.
        parts: how many stretches there should be at least, where there are samples enough.
        raw: the folder of raw data.
    """
    path, found = raw / partition.path, []
    with _opened(path) as file:
        groups = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    cuts = -(-parts // max(1, len(groups)))  # of a group: one that is cut is read by several
    for number, rows in enumerate(groups):
        found += [Stretch(path, partition.md5, number, *ends) for ends in evenly(rows, -(-rows // cuts))]
    return found


def worked_on(
    chosen: Iterable[Partition], each: Callable[[Sequence[Stretch]], Iterator[Result]], parts: int
) -> Iterator[tuple[Partition, list[str], Iterator[Result]]]:
    """Compare partitions with the index and have their stretches worked on: the next one while one's results are taken.

    Args:
        chosen: partitions of one modality.
        each: of `tasks.parallel.workers`.
        parts: stretches of a partition, at least.

    Yields:
        a partition, its sample ids, and what was made of each of its stretches.

    Raises:
        NoData: a file is absent.
        ContractBroken: its content is not what the index names.
    """
    waiting: deque[tuple[Partition, list[str], Iterator[Result]]] = deque()
    for partition in chosen:
        path = _there(partition, RAW)
        _check(path, file_digest(path, "md5"), partition)
        with _opened(path) as file:
            ids: list[str] = file.read(["sample_id"], use_threads=False)["sample_id"].to_pylist()
        waiting.append((partition, ids, each(stretches(partition, parts))))
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting


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
