"""Turn one modality's raw samples into token features: `python -m tasks.extract image`."""

import argparse

import pyarrow as pa

from tasks import params as parameters
from tasks.contracts import (
    ENCODERS,
    FEATURES,
    new_folder,
    partitions,
    read_index,
    read_partition,
    write_features,
    write_parquet,
)
from tasks.extract import load_encoder
from tasks.stage import count, enter
from tasks.steady import steady


def extract(modality: str) -> None:
    """Write data/4_features/<modality>/: a safetensors file per raw partition, rows in its order, and ids.parquet.

    Raises:
        NoData: nothing has landed, or there is no encoder.
        ContractBroken: a partition is not the one that was ingested, or the encoder cannot be loaded.
    """
    params = parameters.load(modality=modality)
    encoder = load_encoder(ENCODERS / modality)
    ids: list[dict[str, object]] = []
    with new_folder(FEATURES / modality) as folder, steady(params.threads):
        for _, partition in partitions(read_index(), modality):
            table = read_partition(partition)
            features = encoder.encode(table["data"].to_pylist(), params.device)
            write_features(folder / f"{partition.stem}.safetensors", features)
            samples = table["sample_id"].to_pylist()
            ids += [{"sample_id": sample, "stem": partition.stem, "row": row} for row, sample in enumerate(samples)]
            print(f"{modality}: {partition.path}: {len(samples)} samples, tokens {features.tokens.shape[1:]}", flush=True)
        schema = pa.schema([("sample_id", pa.string()), ("stem", pa.string()), ("row", pa.int64())])
        write_parquet(folder / "ids.parquet", pa.Table.from_pylist(ids, schema))
    count(decoded=len(ids))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality")
    enter(extract, parser.parse_args().modality)
