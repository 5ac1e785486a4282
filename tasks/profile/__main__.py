"""Decode and measure one modality's raw samples: `python -m tasks.profile image`."""

import argparse
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from tasks import params as parameters
from tasks.errors import ContractBroken
from tasks.files import new_folder
from tasks.index import Partition, partitions, read_index
from tasks.memo import brought
from tasks.parallel import parallel
from tasks.paths import PROFILES
from tasks.profile import kind_module, schema
from tasks.profile.partition import check_profile, write_profile
from tasks.raw import read_partition
from tasks.stage import count, enter


def profile(modality: str) -> None:
    """Write data/2_profiles/<modality>/: a Parquet file per raw partition, a row per raw row, in its order.

    Each depends on its partition's content alone. Those that were brought are taken as they are (`tasks.memo.brought`),
    and their raw partitions are not read. One partition at a time is in memory; `threads` processes decode its rows.

    Raises:
        NoData: nothing has landed.
        ContractBroken: a partition is not the one that was ingested.
    """
    params = parameters.load(modality=modality)
    chosen = params.modalities[modality]
    kind = kind_module(chosen.kind)
    measure = partial(_measured, kind=kind, options=chosen.options)
    decoded = taken = 0
    with new_folder(PROFILES / modality) as folder, threadpool_limits(1):  # the processes are the threads
        for _, partition in partitions(read_index(), modality):
            name = f"{partition.stem}.parquet"
            check = partial(check_profile, raw=partition.md5, rows=partition.rows, schema=schema(kind))
            if brought(PROFILES / modality / name, folder / name, check):
                taken += partition.rows
                continue
            table = pa.Table.from_pylist(_rows(partition, measure, params.threads), schema=schema(kind))
            good = pc.sum(table["ok"]).as_py()
            print(f"{modality}: {partition.path}: {good} of {table.num_rows} decoded", flush=True)
            write_profile(folder / name, table, partition.md5)
            decoded += table.num_rows
    count(decoded=decoded, **({"brought": taken} if taken else {}))


def _rows(
    partition: Partition, measure: Callable[[Sequence[bytes]], list[dict[str, Any]]], threads: int
) -> list[dict[str, Any]]:
    table = read_partition(partition)
    rows = chain.from_iterable(parallel(measure, table["data"].to_pylist(), threads))
    return [{"sample_id": sample, **row} for sample, row in zip(table["sample_id"].to_pylist(), rows, strict=True)]


def _measured(items: Sequence[bytes], kind: ModuleType, options: Any) -> list[dict[str, Any]]:
    return [_row(data, kind, options) for data in items]


def _row(data: bytes, kind: ModuleType, options: Any) -> dict[str, Any]:
    row = {"sha256": hashlib.sha256(data).hexdigest()}
    try:
        array = kind.decode(data, options)
    except ContractBroken as broken:
        return {**row, "ok": False, "reason": str(broken)}
    measured = kind.measure(array, options)
    return {
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
