"""Say which raw partitions `tasks.finetune` will read, as a JSON list: `python -m tasks.finetune.reads`.

Those that hold samples which are fitted on or judged, of the modalities whose encoders are ours.
"""

import argparse
import json

from tasks.params import load
from tasks.paths import RAW
from tasks.stage import enter
from tasks.train.inputs import read_samples_of
from tasks.train.raws import holding


def reads() -> None:
    """Print the paths.

    Raises:
        NoData: features or the manifest are absent.
    """
    samples = read_samples_of(["train", "val", "calibration", "test"])
    ours = [m for m, chosen in sorted(load().modalities.items()) if chosen.encoder is None]
    found = [partition for modality in ours for _, partition in holding(modality, samples)]
    print(json.dumps([str(RAW / partition.path) for partition in found]))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(reads)
