"""Raw samples of the manifest: which partitions hold them, and their bytes."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.errors import ContractBroken
from tasks.features import read_sample_ids
from tasks.index import Batch, Partition, partitions, read_index
from tasks.paths import FEATURES
from tasks.raw import read_partition

Rows = npt.NDArray[np.int64]


def holding(modality: str, samples: pa.Table) -> list[tuple[Batch, Partition]]:
    """The raw partitions with a row of these samples that have the modality, as the ids beside tonight's features tell."""
    having = samples.filter(samples[f"has_{modality}"])
    wanted = set(zip(having["batch"].to_pylist(), having["sample_id"].to_pylist(), strict=True))
    batches = {batch for batch, _ in wanted}
    found = []
    for batch, partition in partitions(read_index(), modality):
        if batch.key in batches:
            ids = read_sample_ids(FEATURES / modality / f"{partition.stem}.safetensors")
            if any((batch.key, sample) in wanted for sample in ids):
                found.append((batch, partition))
    return found


def raw_rows(modality: str, samples: pa.Table) -> Iterator[tuple[Partition, Rows, list[bytes]]]:
    """Row numbers and raw bytes of the samples that have the modality, partition by partition, so that memory stays flat.

    Raises:
        NoData: a partition is absent.
        ContractBroken: a sample that has the modality is in no partition.
    """
    keys = zip(samples["batch"].to_pylist(), samples["sample_id"].to_pylist(), strict=True)
    wanted = {key: row for row, (key, has) in enumerate(zip(keys, samples[f"has_{modality}"].to_pylist(), strict=True)) if has}
    for batch, partition in holding(modality, samples):
        table = read_partition(partition)
        rows = np.array([wanted.pop((batch.key, sample), -1) for sample in table["sample_id"].to_pylist()], np.int64)
        there = np.flatnonzero(rows >= 0)
        if len(there):
            yield partition, rows[there], table["data"].take(pa.array(there)).to_pylist()
    if wanted:
        key, sample_id = min(wanted)
        raise ContractBroken(
            f"data/1_raw/{modality} has no row of {len(wanted)} samples, e.g. {sample_id!r} of {key}: `dvc repro validate`"
        )
