"""Say which raw partitions `tasks.explain` will read, as a JSON list: `python -m tasks.explain.reads`."""

import argparse
import json

from tasks.explain.examples import AMONG
from tasks.files import read_json
from tasks.params import load
from tasks.paths import BUNDLE, RAW
from tasks.robustness.subset import chosen_samples
from tasks.stage import enter
from tasks.train.raws import holding


def reads() -> None:
    """Print the paths of those that hold a sample of which some are explained.

    Raises:
        NoData: the bundle, features or the manifest are absent.
    """
    params = load()
    print(json.dumps(_read_by(params.gate.target) if params.evaluate.examples else []))


def _read_by(target: str) -> list[str]:
    modalities = sorted(read_json(BUNDLE / "bundle.json")["modalities"])  # loading the bundle takes a second of imports
    samples = chosen_samples(modalities, target, AMONG)
    return [str(RAW / partition.path) for m in modalities for _, partition in holding(m, samples)]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(reads)
