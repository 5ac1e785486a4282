"""Decode and measure one modality's raw samples: `python -m tasks.profile image`."""

import argparse
import hashlib
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from tasks import params as parameters
from tasks.files import new_folder
from tasks.index import Partition, partitions, read_index
from tasks.memo import not_brought
from tasks.parallel import PARTS, workers
from tasks.paths import PROFILES
from tasks.profile import decoded, kind_module, measured, schema
from tasks.profile.partition import check_profile, write_profile
from tasks.stage import count, enter
from tasks.stretches import Stretch, worked_on


def profile(modality: str) -> None:
    """Write data/2_profiles/<modality>/: a Parquet file per raw partition, a row per raw row, in its order.

    Each depends on its partition's content alone. Those that were brought are taken as they are (`tasks.memo.brought`),
    and their raw partitions are not read. The profiles of two partitions are in memory; `threads` processes read and decode.

    Raises:
        NoData: nothing has landed.
        ContractBroken: a partition is not the one that was ingested.
    """
    params = parameters.load(modality=modality)
    chosen = params.modalities[modality]
    kind = kind_module(chosen.kind)
    measure = partial(_measured, kind=kind, options=chosen.options)
    with new_folder(PROFILES / modality) as folder, threadpool_limits(1):  # the processes are the threads
        landed = [partition for _, partition in partitions(read_index(), modality)]
        ours = not_brought(landed, PROFILES / modality, folder, ".parquet", partial(_check, columns=schema(kind)))
        with workers(measure, params.threads if ours else 1) as each:
            for partition, ids, parts in worked_on(ours, each, PARTS * params.threads):
                table = pa.concat_tables(parts).add_column(0, "sample_id", pa.array(ids, pa.string())).combine_chunks()
                print(f"{modality}: {partition.path}: {pc.sum(table['ok'])} of {table.num_rows} decoded", flush=True)
                write_profile(folder / f"{partition.stem}.parquet", table, partition.md5)
    done = sum(partition.rows for partition in ours)
    taken = sum(partition.rows for partition in landed) - done
    count(decoded=done, **({"brought": taken} if taken else {}))


def _check(path: Path, partition: Partition, columns: pa.Schema) -> None:
    check_profile(path, partition.md5, partition.rows, columns)


def _measured(stretch: Stretch, kind: ModuleType, options: Any) -> pa.Table:
    """The rows of these samples, without their ids."""
    items, refused = stretch.read(), dict[int, str]()
    columns = measured(kind, decoded(kind, items, options, refused), options)
    for place in sorted(refused):
        for column in columns.values():
            column.insert(place, None)
    fixed = {
        "ok": [place not in refused for place in range(len(items))],
        "reason": [refused.get(place, "") for place in range(len(items))],
        "sha256": [hashlib.sha256(data).hexdigest() for data in items],
    }
    return pa.table({**fixed, **columns}, schema=schema(kind).remove(0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality")
    enter(profile, parser.parse_args().modality)
