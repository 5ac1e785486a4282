"""Which test samples are damaged (tasks/damage): few, the same night after night, and of many groups."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.index import Batch, Partition, partitions
from tasks.params import Params, keyed_seed
from tasks.paths import PROFILES
from tasks.tables import labelled, truth

GROUPS = 8  # at least, where there are so many: one alone would say nothing of any other


def probe(samples: pa.Table, batches: list[Batch], params: Params) -> dict[str, Any]:
    """What probe.json says: `samples`, and by modality the `partitions` that hold any of them, as the index names them.

    Args:
        samples: rows of data/3_manifest/samples.parquet.
        batches: in the order in which they were accepted.
        params: `robustness.samples` for each target.
    """
    test = samples.filter(pa.array(np.array(samples["split"].to_pylist(), object) == "test"))
    rows: set[int] = set()
    for target in params.targets:
        judged = np.flatnonzero(labelled(truth(test[target])))
        table = test.select(["batch", "sample_id", "group"]).take(pa.array(judged)).to_pandas().set_index(judged)
        rows |= set(chosen(table, [batch.key for batch in batches], params.robustness.samples))
    keys = sorted((test["batch"][row].as_py(), test["sample_id"][row].as_py()) for row in rows)
    return {
        "samples": [{"batch": batch, "sample_id": sample} for batch, sample in keys],
        "partitions": {m: _holding(m, keys, batches) for m in params.modalities},
    }


def chosen(samples: pd.DataFrame, batches: list[str], count: int) -> list[int]:
    """The index of at most `count` of these samples: of the oldest batches, and an equal share of each group.

    A group gives an eighth, or all when there are too few others. Once there are enough, whatever lands changes nothing, only
    one of them that goes, or an old one that is labelled late.

    Args:
        samples: `batch`, `sample_id`, `group`.
        batches: keys in the order in which they were accepted.
        count: 0 or more.
    """
    if not count or samples.empty:
        return []
    own = [keyed_seed(0, "probe", *key) for key in zip(samples["batch"], samples["sample_id"], strict=True)]
    places = {key: place for place, key in enumerate(batches)}
    table = samples.assign(place=samples["batch"].map(places), own=own).sort_values(["place", "own"])
    turn = table.groupby("group").cumcount() // -(-count // GROUPS)
    return list(table.assign(turn=turn).sort_values(["turn", "place", "own"]).index[:count])


def _holding(modality: str, keys: Collection[tuple[str, str]], batches: list[Batch]) -> list[dict[str, Any]]:
    wanted = frozenset(keys)
    of = {batch for batch, _ in wanted}
    found = []
    for batch, partition in partitions(batches, modality):
        if batch.key in of and any((batch.key, sample) in wanted for sample in _ids(modality, partition)):
            found.append({"batch": batch.key, "path": partition.path, "rows": partition.rows, "md5": partition.md5})
    return found


def _ids(modality: str, partition: Partition) -> list[str]:
    table = pq.read_table(PROFILES / modality / f"{partition.stem}.parquet", columns=["sample_id"])
    ids: list[str] = table["sample_id"].to_pylist()
    return ids
