"""Decode and measure one modality's raw samples: `python -m tasks.profile image`."""

import argparse
import hashlib
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks import params as parameters
from tasks.errors import ContractBroken
from tasks.files import new_folder
from tasks.index import Partition, partitions, read_index
from tasks.memo import brought
from tasks.paths import PROFILES
from tasks.profile import kind_module, schema
from tasks.profile.partition import check_profile, write_profile
from tasks.raw import read_partition
from tasks.stage import count, enter


def profile(modality: str) -> None:
    """Write data/2_profiles/<modality>/: a Parquet file per raw partition, a row per raw row, in its order.

    Each depends on its partition's content alone. Those that were brought are taken as they are (`tasks.memo.brought`),
    and their raw partitions are not read. One partition at a time is in memory.

    Raises:
        NoData: nothing has landed.
        ContractBroken: a partition is not the one that was ingested.
    """
    chosen = parameters.load(modality=modality).modalities[modality]
    kind = kind_module(chosen.kind)
    decoded = taken = 0
    with new_folder(PROFILES / modality) as folder:
        for _, partition in partitions(read_index(), modality):
            name = f"{partition.stem}.parquet"
            check = partial(check_profile, raw=partition.md5, rows=partition.rows, schema=schema(kind))
            if brought(PROFILES / modality / name, folder / name, check):
                taken += partition.rows
                continue
            table = pa.Table.from_pylist(list(_rows(partition, kind, chosen.options)), schema=schema(kind))
            good = pc.sum(table["ok"]).as_py()
            print(f"{modality}: {partition.path}: {good} of {table.num_rows} decoded", flush=True)
            write_profile(folder / name, table, partition.md5)
            decoded += table.num_rows
    count(decoded=decoded, **({"brought": taken} if taken else {}))


def _rows(partition: Partition, kind: ModuleType, options: Any) -> Iterator[dict[str, Any]]:
    table = read_partition(partition)
    for sample, data in zip(table["sample_id"].to_pylist(), table["data"].to_pylist(), strict=True):
        row = {"sample_id": sample, "sha256": hashlib.sha256(data).hexdigest()}
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
