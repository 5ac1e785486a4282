"""Say which raw partitions `tasks.explain` will read, as a JSON list: `python -m tasks.explain.reads`."""

import argparse
import json

from tasks.explain.among import newest, read_by
from tasks.files import read_json
from tasks.params import load
from tasks.paths import BUNDLE
from tasks.stage import enter


def reads() -> None:
    """Print the paths of those that hold a sample of which some are explained.

    Raises:
        NoData: the bundle, features or the manifest are absent.
    """
    params = load()
    if not params.evaluate.examples:
        print(json.dumps([]))
        return
    modalities = sorted(read_json(BUNDLE / "bundle.json")["modalities"])  # loading the bundle takes a second of imports
    print(json.dumps(read_by(modalities, newest(modalities, params.gate.target, params.evaluate.examples))))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(reads)
