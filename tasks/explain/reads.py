"""Say which raw partitions `tasks.explain` will read, as a JSON list: `python -m tasks.explain.reads`."""

import argparse
import json

from tasks.explain.examples import AMONG
from tasks.params import load
from tasks.robustness.reads import read_by
from tasks.stage import enter


def reads() -> None:
    """Print the paths of those that hold a sample of which some are explained.

    Raises:
        NoData: the bundle, features or the manifest are absent.
    """
    params = load()
    print(json.dumps(read_by(params.gate.target, AMONG) if params.evaluate.examples else []))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(reads)
