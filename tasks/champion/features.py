"""Features of the test samples by a bundle's own encoders, computed anew only where tonight's encoder is another."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bundle import Bundle
from tasks.errors import ContractBroken
from tasks.features import Features, read_sample_ids
from tasks.files import folder_digest
from tasks.index import Batch, Partition, partitions, read_index
from tasks.paths import ENCODERS, FEATURES
from tasks.raw import read_partition
from tasks.train.inputs import aligned, assembled


def features_for(bundle: Bundle, samples: pa.Table) -> tuple[dict[str, Features], int]:
    """Features of every modality of the bundle that the samples can have.

    Where the bundle's encoder is byte for byte tonight's, what `extract` computed is read; elsewhere the raw rows are
    decoded and encoded with the bundle's encoder. A modality that the night no longer has is missing in every sample.

    Returns:
        modality -> features, row by row; number of raw rows that were encoded anew.
    """
    features, encoded = {}, 0
    anew = to_encode(bundle, samples)
    for modality in bundle.modalities:
        width = bundle.candidate.card.widths[modality]
        if f"has_{modality}" not in samples.column_names:
            features[modality] = assembled(samples.num_rows, 1, width, [])
        elif modality not in anew:
            features[modality] = aligned(modality, samples)
        else:
            parts = [(rows, bundle.encode(modality, items)) for rows, items in raw_rows(modality, samples)]
            steps = max((part.tokens.shape[1] for _, part in parts), default=1)
            features[modality] = assembled(samples.num_rows, steps, width, parts)
            encoded += sum(len(rows) for rows, _ in parts)
    return features, encoded


def to_encode(bundle: Bundle, samples: pa.Table) -> list[str]:
    """Names of the modalities whose raw rows the bundle must encode itself: its encoder is not tonight's."""
    ours = [m for m in bundle.modalities if f"has_{m}" in samples.column_names]
    return [m for m in ours if not _same_encoder(bundle.folder, m)]


def _same_encoder(folder: Path, modality: str) -> bool:
    tonight = ENCODERS / modality
    return tonight.is_dir() and folder_digest(tonight) == folder_digest(folder / "encoders" / modality)


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


def raw_rows(modality: str, samples: pa.Table) -> Iterator[tuple[npt.NDArray[np.int64], list[bytes]]]:
    """Row numbers and raw bytes of the samples that have the modality, partition by partition, so that memory stays flat.

    Raises:
        ContractBroken: a sample that has the modality is in no partition.
    """
    keys = zip(samples["batch"].to_pylist(), samples["sample_id"].to_pylist(), strict=True)
    wanted = {key: row for row, (key, has) in enumerate(zip(keys, samples[f"has_{modality}"].to_pylist(), strict=True)) if has}
    for batch, partition in holding(modality, samples):
        table = read_partition(partition)
        rows = [wanted.pop((batch.key, sample_id), -1) for sample_id in table["sample_id"].to_pylist()]
        there = [number for number, row in enumerate(rows) if row >= 0]
        if there:
            yield np.array([rows[number] for number in there]), table["data"].take(there).to_pylist()
    if wanted:
        key, sample_id = min(wanted)
        raise ContractBroken(
            f"data/1_raw/{modality} has no row of {len(wanted)} samples, e.g. {sample_id!r} of {key}: `dvc repro validate`"
        )
