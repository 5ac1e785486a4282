"""Raw samples of the manifest: prepared for training, all in memory, or as features by encoders that are fitted."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from tasks.errors import ContractBroken
from tasks.extract import Loaded
from tasks.extract import prepared as inputs_of
from tasks.features import write_features
from tasks.index import Partition, partitions, read_index
from tasks.parallel import workers
from tasks.params import Modality
from tasks.profile import decoded, kind_module
from tasks.raw import read_partition

Rows = npt.NDArray[np.int64]
KNOWN = ("mask", "time")  # which the features tell as well

Part = tuple[Rows, dict[str, npt.NDArray[Any]]]  # which of some items could be decoded, and what was made of them


def raw_rows(modality: str, samples: pa.Table) -> Iterator[tuple[Partition, Rows, list[bytes]]]:
    """Each raw partition with any of these samples that has the modality: the samples' rows, and their bytes.

    Raises:
        NoData: a partition is absent.
        ContractBroken: a sample that has the modality is in none.
    """
    keys = zip(samples["batch"].to_pylist(), samples["sample_id"].to_pylist(), strict=True)
    wanted = {key: row for row, (key, has) in enumerate(zip(keys, samples[f"has_{modality}"].to_pylist(), strict=True)) if has}
    batches = {batch for batch, _ in wanted}
    for batch, partition in partitions(read_index(), modality):
        if batch.key not in batches:
            continue
        table = read_partition(partition)
        rows = np.array([wanted.pop((batch.key, sample), -1) for sample in table["sample_id"].to_pylist()], np.int64)
        if (rows >= 0).any():
            yield partition, rows[rows >= 0], table["data"].take(np.flatnonzero(rows >= 0)).to_pylist()
    if wanted:
        key, sample = min(wanted)
        raise ContractBroken(
            f"data/1_raw/{modality} has no row of {len(wanted)} samples, e.g. {sample!r} of {key}: `dvc repro validate`"
        )


def prepared(chosen: Modality, encoder: Loaded, samples: pa.Table, processes: int) -> dict[str, Tensor]:
    """What the encoder takes of these samples, `<modality>/<key>` -> [n, …], 0 where there is none.

    Memory: all of it, and one partition's bytes.

    Args:
        chosen: the modality.
        encoder: its encoder, of our own.
        samples: n rows of the manifest.
        processes: that decode.
    """
    whole: dict[str, Tensor] = {}
    with workers(partial(_made, chosen, encoder), processes) as each:
        for _, rows, items in raw_rows(chosen.name, samples):
            at = 0
            for count, (there, arrays) in each(items):
                for key, values in arrays.items():
                    name = f"{chosen.name}/{key}"
                    if name not in whole:
                        whole[name] = _empty(samples.num_rows, torch.from_numpy(values))
                    whole[name][torch.from_numpy(rows[at + there])] = torch.from_numpy(values)
                at += count
    return whole


def _made(chosen: Modality, encoder: Loaded, items: Sequence[bytes]) -> tuple[int, Part]:
    refused: dict[int, str] = {}  # `extract` took them for missing too
    arrays = decoded(kind_module(chosen.kind), items, chosen.options, refused)
    batch = inputs_of(encoder.how, arrays, chosen.options, encoder.card.facts)
    there = np.array([place for place in range(len(items)) if place not in refused], np.int64)
    return len(items), (there, {key: values for key, values in batch.items() if key not in KNOWN})


def _empty(rows: int, like: Tensor) -> Tensor:
    """Zeros [rows, …]; pictures lie as convolutions read them fastest."""
    channels = like.ndim == 4 and like.is_floating_point()
    layout = torch.channels_last if channels else torch.contiguous_format
    return torch.zeros((rows, *like.shape[1:]), dtype=like.dtype).contiguous(memory_format=layout)


def write_encoded(modality: str, encoder: Loaded, samples: pa.Table, device: str, folder: Path) -> int:
    """Write features of these samples, a file per raw partition that holds any, as `extract` does; returns their number."""
    count = 0
    for partition, rows, items in raw_rows(modality, samples):
        ids = samples["sample_id"].take(rows).to_pylist()
        write_features(folder / f"{partition.stem}.safetensors", encoder.encode(items, device), partition.md5, ids)
        count += len(ids)
    return count
