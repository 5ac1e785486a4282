"""Stretches of raw partitions, each read by the process that works on it: what is sent there is small."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.files import file_digest
from tasks.index import Partition
from tasks.parallel import STEP, evenly
from tasks.raw import check_digest, there

Result = TypeVar("Result")


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


def stretches(partition: Partition, parts: int, step: int = STEP) -> list[Stretch]:
    """Cut a partition into stretches, in their order.

    Args:
        partition: one whose file is there.
        parts: how many stretches there should be at least, where there are samples enough.
        step: samples that are worked on together.
    """
    path, found = there(partition), []
    with _opened(path) as file:
        groups = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    cuts = -(-parts // max(1, len(groups)))  # of a group: one that is cut is read by several
    for number, rows in enumerate(groups):
        found += [Stretch(path, partition.md5, number, *ends) for ends in evenly(rows, -(-rows // cuts), step)]
    return found


def worked_on(
    chosen: Iterable[Partition], each: Callable[[Sequence[Stretch]], Iterator[Result]], parts: int, step: int = STEP
) -> Iterator[tuple[Partition, list[str], Iterator[Result]]]:
    """Compare partitions with the index and have their stretches worked on: the next one while one's results are taken.

    Args:
        chosen: partitions of one modality.
        each: of `tasks.parallel.workers`.
        parts: stretches of a partition, at least, where there are samples enough.
        step: samples that are worked on together.

    Yields:
        a partition, its sample ids, and what was made of each of its stretches.

    Raises:
        NoData: a file is absent.
        ContractBroken: its content is not what the index names.
    """
    waiting: deque[tuple[Partition, list[str], Iterator[Result]]] = deque()
    for partition in chosen:
        path = there(partition)
        try:
            with _opened(path) as file:
                ids: list[str] = file.read(["sample_id"], use_threads=False)["sample_id"].to_pylist()
            waiting.append((partition, ids, each(stretches(partition, parts, step))))
        finally:  # others are at work on it while it is hashed; what they make of another file is given to nobody
            check_digest(partition, file_digest(path, "md5"))
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting
