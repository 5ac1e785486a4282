"""Turn one modality's raw samples into token features: `python -m tasks.extract image`."""

import argparse
from functools import partial
from pathlib import Path

from tasks import params as parameters
from tasks.extract import Loaded, load_encoder
from tasks.features import Features, check_features, joined, write_features
from tasks.files import new_folder
from tasks.index import Partition, partitions, read_index
from tasks.memo import not_brought
from tasks.parallel import PARTS, workers
from tasks.paths import ENCODERS, FEATURES
from tasks.stage import count, enter
from tasks.steady import require, steady
from tasks.stretches import Stretch, worked_on


def extract(modality: str) -> None:
    """Write data/4_features/<modality>/: a safetensors file per raw partition, rows in its order.

    Each depends on its partition's content and the encoder. Those that were brought are taken as they are
    (`tasks.memo.brought`), and their raw partitions are not read. The features of two partitions are in memory; `threads`
    processes read, decode and encode rows, each with one thread, so that their number changes no byte.

    Raises:
        NoData: nothing has landed, or there is no encoder.
        ContractBroken: a partition is not the one that was ingested, or the encoder cannot be loaded.
    """
    params = parameters.load(modality=modality)
    encoder = load_encoder(ENCODERS / modality)
    require(params.device)
    encode = partial(_encoded, encoder, params.device)
    processes = params.threads if params.device == "cpu" else 1  # CUDA does not survive a fork
    with new_folder(FEATURES / modality) as folder, steady(threads=1):
        landed = [partition for _, partition in partitions(read_index(), modality)]
        ours = not_brought(landed, FEATURES / modality, folder, ".safetensors", partial(_check, shape=encoder.shape))
        with workers(encode, processes if ours else 1) as each:
            for partition, ids, parts in worked_on(ours, each, PARTS * processes, encoder.batch):
                write_features(folder / f"{partition.stem}.safetensors", joined(list(parts)), partition.md5, ids)
                print(f"{modality}: {partition.path}: {partition.rows} samples, tokens {encoder.shape}", flush=True)
    done = sum(partition.rows for partition in ours)
    taken = sum(partition.rows for partition in landed) - done
    count(decoded=done, **({"brought": taken} if taken else {}))


def _encoded(encoder: Loaded, device: str, stretch: Stretch) -> Features:
    return encoder.encode(stretch.read(), device)


def _check(path: Path, partition: Partition, shape: tuple[int, int]) -> None:
    check_features(path, partition.md5, partition.rows, shape)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality")
    enter(extract, parser.parse_args().modality)
