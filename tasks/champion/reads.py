"""Say which raw partitions `tasks.champion` will read, as a JSON list: `python -m tasks.champion.reads`.

None, on a night whose encoders are those of the champion and of the anchor; else those that hold test samples.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tasks.paths import ANCHOR, CHAMPION, RAW
from tasks.stage import enter


def reads() -> None:
    """Print the paths.

    Raises:
        NoData: a bundle, features or the manifest are absent.
        ContractBroken: a bundle is damaged.
    """
    reigning = [folder for folder in (CHAMPION, ANCHOR) if folder.is_dir() and any(folder.iterdir())]
    print(json.dumps(_read_by(reigning) if reigning else []))


def _read_by(folders: Sequence[Path]) -> list[str]:
    from tasks.bundle import Bundle  # torch, which nobody needs before there is a champion
    from tasks.champion.features import to_encode
    from tasks.train.inputs import read_samples_of
    from tasks.train.raws import holding

    samples = read_samples_of(["test"])
    bundles = [Bundle.load(folder) for folder in folders]
    modalities = sorted({modality for bundle in bundles for modality in to_encode(bundle, samples)})
    found = [partition for modality in modalities for _, partition in holding(modality, samples)]
    return [str(RAW / partition.path) for partition in found]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(reads)
