"""The probe: test samples whose raw inputs are damaged. `python -m tasks.probe` writes data/3_probe.json.

    samples         `batch`, `sample_id`
    partitions      by modality the raw partitions that hold any of them, as the index names them, with their `batch`

It is few samples, the same night after night, of many groups and out of few partitions: a stage of its own, so that what
depends on it runs again for no other reason.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.index import Batch, Partition, first_holding, partitions
from tasks.params import keyed_seed
from tasks.paths import PROFILES
from tasks.tables import labelled, truth

GROUPS = 8  # at least, where there are so many: one alone would say nothing of any other
PARTITIONS = 8  # of a batch, while they hold enough; at least, where there are so many: one alone may be of one site


def probe(samples: pa.Table, batches: list[Batch], modalities: Sequence[str], target: str, count: int) -> dict[str, Any]:
    """What data/3_probe.json says.

    Args:
        samples: rows of data/3_manifest/samples.parquet.
        batches: in the order in which they were accepted.
        modalities: of the night.
        target: that is judged.
        count: of samples, at most.
    """
    test = samples.filter(pc.equal(samples["split"], "test"))
    test = test.filter(pa.array(labelled(truth(test[target])), pa.bool_()))
    keys = _few(test.select(["batch", "sample_id", "group"]).to_pandas(), batches, modalities, count)
    return {
        "samples": [{"batch": batch, "sample_id": sample} for batch, sample in keys],
        "partitions": {m: _holding(m, keys, batches) for m in modalities},
    }


def chosen(samples: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` of these samples: of the oldest batches, of few partitions, and an equal share of each group.

    A group gives an eighth, or more when there are too few others. Once there are enough, whatever lands changes nothing, only
    one of them that goes, or an old one that is labelled late.

    Args:
        samples: `batch`, `sample_id`, `group`; `place`, that of the batch in the order of acceptance; `partition`, the name of
            one that holds the sample.
        count: 1 or more.

    Returns:
        The rows, with a column `turn`: 0 where the group gave no more than its share.
    """
    own = [keyed_seed(0, "probe", *key) for key in zip(samples["batch"], samples["sample_id"], strict=True)]
    hashes = {name: keyed_seed(0, "probe", name) for name in samples["partition"].unique()}
    rank = samples["partition"].map(hashes).groupby(samples["place"]).rank("dense").sub(1) // PARTITIONS
    table = samples.assign(own=pd.Series(own, samples.index, dtype=np.int64), rank=rank).sort_values(["place", "rank", "own"])
    turn = table.groupby("group").cumcount() // -(-count // GROUPS)
    return table.assign(turn=turn).sort_values(["turn", "place", "rank", "own"])[:count]


def _few(test: pd.DataFrame, batches: list[Batch], modalities: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Keys of the chosen, sorted; no more of the oldest batches are looked at than it takes."""
    held = set(test["batch"])
    there = [batch for batch in batches if batch.key in held]
    places = {batch.key: place for place, batch in enumerate(there)}
    keys: list[tuple[str, str]] = []
    taken = 0
    while count and taken < len(there):
        taken = max(1, 2 * taken)
        some = test[test["batch"].isin([batch.key for batch in there[:taken]])]
        stems = first_holding(there[:taken], modalities, _ids)
        names = [stems.get(key, "") for key in zip(some["batch"], some["sample_id"], strict=True)]
        found = chosen(some.assign(place=some["batch"].map(places), partition=names), count)
        keys = sorted(zip(found["batch"], found["sample_id"], strict=True))
        if len(keys) == count and not found["turn"].any():
            break
    return keys


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
