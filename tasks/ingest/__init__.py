"""Cut a landed batch into immutable Parquet partitions under data/1_raw: `python -m tasks.ingest` (a task, not a stage).

Every row of metadata.csv becomes a row of data/1_raw/samples/<batch>.parquet. A row that breaks the landing contract is
kept there with its reason in `refused`, and its files are left out. A batch that breaks it as a whole is refused.
"""

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from tasks.contracts import Batch, Partition, file_digest
from tasks.errors import ContractBroken
from tasks.ingest.landing import Landed
from tasks.ingest.partitions import Cutter
from tasks.ingest.rows import Rows
from tasks.ingest.samples import sample, schema
from tasks.params import Params

CONTENT = pa.schema([("sample_id", pa.string()), ("file_name", pa.string()), ("data", pa.binary())])
EXAMPLES = 5


@dataclass(frozen=True)
class Ingested:
    """What became of a batch: rows = accepted + refused.

    Attributes:
        batch: its identity and partitions, for the index.
        rows: rows of metadata.csv.
        refused: rows that broke the contract.
        modalities: accepted rows that have each modality.
        examples: some of the refusals, for people.
    """

    batch: Batch
    rows: int
    refused: int
    modalities: Mapping[str, int]
    examples: tuple[str, ...]


def digest(landed: Landed, params: Params) -> str:
    """A batch's identity: reads all of its files, writes nothing.

    Raises:
        ContractBroken: the batch breaks the landing contract as a whole.
        NoData: the store does not answer.
    """
    rows = Rows(landed, params)
    for _ in rows.read():
        pass
    return rows.digest()


def changed(before: str, now: str) -> ContractBroken:
    """The refusal of a batch whose name is known with another digest: what was ingested is immutable."""
    return ContractBroken(
        f"changed after it was ingested (digest {before[:8]}, now {now[:8]}). What was ingested stays as it"
        " is; put the folder back as it was, or land the new rows as a batch of another name"
    )


def ingest(landed: Landed, params: Params, raw: Path) -> Ingested:
    """Cut a batch into partitions below `raw`. The same batch gives the same names, bytes and digest each time.

    Partitions get their final names only after the whole batch was read, so a batch that fails leaves nothing behind.

    Args:
        landed: from `landing.list_batches`.
        params: names modalities and targets, and how large a partition may be.
        raw: data/1_raw.

    Raises:
        ContractBroken: the batch breaks the landing contract as a whole, or changed while it was read.
        NoData: the store does not answer.
    """
    raw.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{raw.name}.ingest-", dir=raw.parent))
    try:
        rows = Rows(landed, params)
        cutters = _cutters(temporary, rows.metadata.columns, params)
        counts, examples = _cut(rows, cutters, params)
        batch = Batch(landed.name, rows.digest(), {})
        found = {name: _placed(cutter, name, batch.key, raw) for name, cutter in cutters.items()}
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    present = {name: counts[name] for name in params.modalities}
    return Ingested(replace(batch, partitions=found), counts["samples"], counts["refused"], present, examples)


def _cutters(folder: Path, columns: tuple[str, ...], params: Params) -> dict[str, Cutter]:
    limits = params.ingest
    cutters = {
        name: Cutter(folder / name, CONTENT, limits.partition_rows, limits.partition_mb << 20) for name in params.modalities
    }
    return {**cutters, "samples": Cutter(folder / "samples", schema(columns, params), limits.batch_rows, sys.maxsize)}


def _cut(rows: Rows, cutters: Mapping[str, Cutter], params: Params) -> tuple[Counter[str], tuple[str, ...]]:
    """Hand each row to its cutters; count rows by cutter, and the refused ones."""
    counts: Counter[str] = Counter()
    examples: list[str] = []
    for line, contents in rows.read():
        cutters["samples"].add(sample(line, contents, rows.metadata.columns, params))
        for name, content in contents.items():
            cutters[name].add({"sample_id": line.cells["sample_id"], "file_name": content.file_name, "data": content.data})
        counts.update(["samples", *contents])
        if line.refused:
            counts["refused"] += 1
            examples = [*examples, f"row {line.number}: {line.refused}"][:EXAMPLES]
    for cutter in cutters.values():
        cutter.close()
    return counts, tuple(examples)


def _placed(cutter: Cutter, name: str, key: str, raw: Path) -> tuple[Partition, ...]:
    """Give a cutter's files their final names: they are whole, and on the disk."""
    placed = []
    for path, rows in cutter.files:
        final = Path(name, f"{key}.parquet" if name == "samples" else f"{key}-{path.name}")
        (raw / name).mkdir(parents=True, exist_ok=True)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        md5 = file_digest(path, "md5")
        path.replace(raw / final)
        placed.append(Partition(final.as_posix(), rows, md5))
    return tuple(placed)
