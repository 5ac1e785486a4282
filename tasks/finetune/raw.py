"""Raw samples of the manifest: prepared for training, all in memory, or as features by encoders that are fitted."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from tasks.extract import Loaded
from tasks.extract import prepared as inputs_of
from tasks.features import write_features
from tasks.parallel import in_memory, workers
from tasks.params import Modality
from tasks.profile import decoded, kind_module
from tasks.train.raws import raw_rows

Rows = npt.NDArray[np.int64]
KNOWN = ("mask", "time")  # which the features tell as well

Part = tuple[Rows, dict[str, npt.NDArray[Any]]]  # which of some items could be decoded, and what was made of them


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
            for count, (there, arrays) in each(in_memory(items)):
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
