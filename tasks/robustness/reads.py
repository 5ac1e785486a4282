"""Say which raw partitions `tasks.robustness` will read, as a JSON list: `python -m tasks.robustness.reads`."""

import argparse
import json

from tasks.files import read_json
from tasks.params import load
from tasks.paths import BUNDLE, RAW
from tasks.robustness.subset import chosen_samples
from tasks.stage import enter
from tasks.train.raws import holding


def reads() -> None:
    """Print the paths of those that hold a sample which will be damaged.

    Raises:
        NoData: the bundle, features or the manifest are absent.
    """
    params = load()
    print(json.dumps(read_by(params.gate.target, params.robustness.samples) if params.robustness.samples else []))


def read_by(target: str, count: int) -> list[str]:
    """The raw partitions that hold one of the `chosen_samples`."""
    modalities = sorted(read_json(BUNDLE / "bundle.json")["modalities"])  # loading the bundle takes a second of imports
    samples = chosen_samples(modalities, target, count)
    return [str(RAW / partition.path) for m in modalities for _, partition in holding(m, samples)]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(reads)
