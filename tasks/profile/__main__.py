"""Decode and measure one modality's raw samples: `python -m tasks.profile image`."""

import argparse
import hashlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pyarrow as pa

from tasks import params as parameters
from tasks.contracts import PROFILES, Batch, Partition, partitions, read_index, read_partition, write_parquet
from tasks.errors import ContractBroken
from tasks.profile import kind_module
from tasks.stage import count, enter


def profile(modality: str) -> None:
    """Write data/2_profiles/<modality>.parquet, a row per raw row, in the order of the index (see tasks/contracts.py).

    Raises:
        NoData: nothing has landed.
        ContractBroken: a partition is not the one that was ingested.
    """
    chosen = parameters.load(modality=modality).modalities[modality]
    kind = kind_module(chosen.kind)
    tables = []
    for batch, partition in partitions(read_index(), modality):
        rows = list(_rows(batch, partition, kind, chosen.options))
        good = sum(row["ok"] for row in rows)
        print(f"{modality}: {partition.path}: {good} of {len(rows)} decoded", flush=True)
        tables.append(pa.Table.from_pylist(rows, schema(kind)))
    table = pa.concat_tables(tables) if tables else schema(kind).empty_table()
    count(decoded=table.num_rows)
    write_parquet(PROFILES / f"{modality}.parquet", table)


def schema(kind: ModuleType) -> pa.Schema:
    """The columns of a profile: the same for all kinds, then what this kind measures."""
    fixed = {"sample_id": pa.string(), "batch": pa.string(), "ok": pa.bool_(), "reason": pa.string(), "sha256": pa.string()}
    numbers = {"near": pa.int64(), "duration_s": pa.float64(), **dict.fromkeys(kind.MEASURES, pa.float64())}
    return pa.schema([*fixed.items(), *numbers.items()])


def _rows(batch: Batch, partition: Partition, kind: ModuleType, options: Any) -> Iterator[dict[str, Any]]:
    table = read_partition(partition)
    for sample, data in zip(table["sample_id"].to_pylist(), table["data"].to_pylist(), strict=True):
        row = {"sample_id": sample, "batch": batch.key, "sha256": hashlib.sha256(data).hexdigest()}
        try:
            array = kind.decode(data, options)
        except ContractBroken as broken:
            yield {**row, "ok": False, "reason": str(broken)}
            continue
        measured = kind.measure(array, options)
        yield {
            **row,
            "ok": True,
            "reason": "",
            "near": kind.near_hash(array),
            "duration_s": kind.duration_s(array, options),
            **measured,
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality")
    enter(profile, parser.parse_args().modality)
