"""The test samples of which some are explained: the newest, out of few raw partitions."""

from collections import Counter
from itertools import takewhile

import numpy as np
import pyarrow as pa

from tasks.features import read_sample_ids
from tasks.index import Batch, Partition, first_holding, read_index
from tasks.params import keyed_seed
from tasks.paths import FEATURES, RAW
from tasks.tables import labelled, truth
from tasks.train.inputs import read_samples_of
from tasks.train.raws import holding

MOST = 100
ENOUGH = 3  # times as many as are explained: some of them are wrong

Key = tuple[str, str]  # a batch's key, a sample's id


def newest(modalities: list[str], target: str, count: int) -> pa.Table:
    """At most `MOST` test samples that are labelled in the target and have any of the modalities, sorted by sample_id.

    Those of the newest batch, and where it has not `ENOUGH` of those before it: what a night brings from the raw data follows
    what landed. Of a large batch those that lie together, for a raw partition is brought whole.

    Args:
        modalities: sorted; a sample belongs to the partition that holds it as the first one of these that it has.
        target: that is judged.
        count: how many are explained.
    """
    samples = read_samples_of(["test"])
    there = np.logical_or.reduce([samples[f"has_{m}"].to_numpy().astype(np.bool_) for m in modalities])
    samples = samples.filter(pa.array(there & labelled(truth(samples[target]))))
    keys = list(zip(samples["batch"].to_pylist(), samples["sample_id"].to_pylist(), strict=True))
    batches = _newest(keys, ENOUGH * count)
    places = {batch.key: place for place, batch in enumerate(batches)}
    stems = first_holding(batches, modalities, _ids)
    rows = [row for row, key in enumerate(keys) if key in stems]
    rows.sort(key=lambda row: (places[keys[row][0]], stems[keys[row]], keyed_seed(0, "explain", *keys[row])))
    return samples.take(pa.array(sorted(rows[:MOST]), pa.int64()))


def read_by(modalities: list[str], samples: pa.Table) -> list[str]:
    """The raw partitions that hold one of these samples."""
    return [str(RAW / partition.path) for m in modalities for _, partition in holding(m, samples)]


def _newest(keys: list[Key], enough: int) -> list[Batch]:
    """The newest batches that hold so many of these keys, the newest first."""
    held = Counter(batch for batch, _ in keys)
    batches = [batch for batch in reversed(read_index()) if batch.key in held]
    before = np.cumsum([0, *(held[batch.key] for batch in batches)])
    return [batch for batch, seen in takewhile(lambda one: one[1] < enough, zip(batches, before, strict=False))]


def _ids(modality: str, partition: Partition) -> list[str]:
    return read_sample_ids(FEATURES / modality / f"{partition.stem}.safetensors")
