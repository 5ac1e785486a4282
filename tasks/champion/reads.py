"""Say which raw partitions `tasks.champion` will read, as a JSON list: `python -m tasks.champion.reads`.

None, on a night whose encoders are those of the champion and of the anchor; else those that hold test samples.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from tasks.files import folder_digest, read_json
from tasks.paths import ANCHOR, CHAMPION, ENCODERS, RAW
from tasks.stage import enter
from tasks.train.inputs import read_samples_of
from tasks.train.raws import holding


def reads() -> None:
    """Print the paths.

    Raises:
        NoData: a bundle, features or the manifest are absent.
        ContractBroken: a bundle's list is no JSON.
    """
    reigning = [folder for folder in (CHAMPION, ANCHOR) if folder.is_dir() and any(folder.iterdir())]
    print(json.dumps(_read_by(reigning) if reigning else []))


def _read_by(folders: Sequence[Path]) -> list[str]:
    samples = read_samples_of(["test"])
    modalities = sorted({modality for folder in folders for modality in to_encode(folder, samples)})
    found = [partition for modality in modalities for _, partition in holding(modality, samples)]
    return [str(RAW / partition.path) for partition in found]


def to_encode(bundle: Path, samples: pa.Table) -> list[str]:
    """Names of the modalities whose raw rows a bundle must encode itself: its encoder is not tonight's.

    The bundle is not loaded: that takes a second of imports.
    """
    ours = [m for m in sorted(read_json(bundle / "bundle.json")["modalities"]) if f"has_{m}" in samples.column_names]
    return [m for m in ours if not _same_encoder(bundle, m)]


def _same_encoder(bundle: Path, modality: str) -> bool:
    tonight = ENCODERS / modality
    return tonight.is_dir() and folder_digest(tonight) == folder_digest(bundle / "encoders" / modality)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(reads)
