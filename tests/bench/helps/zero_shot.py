"""What zero-shot is worth: `python -m tests.bench.helps.zero_shot` prints a line of JSON, exit 1 below the bar.

Pictures of coloured shapes with a line of text; of 16 combinations four are held out, two colours in two shapes each. Encoders,
alignment and heads see the twelve others alone; then the held-out ones are told by `zero_shot` from descriptions made of two
words. Five splits, the accuracy's 95 % interval (t) over them:

    unseen     among the four; must be above chance, a quarter (colour or shape alone would tell a half)
    all        among all sixteen, of which twelve were seen; told (chance: a sixteenth)
"""

import argparse
import contextlib
import json
import sys
import tempfile

from tasks.steady import steady
from tests.bench.helps.leads import interval
from tests.shapes import PAIRS, accuracy, bundle, held_out

SAMPLES, TEST = 1200, 1000


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=5)
    found: dict[str, list[float]] = {"unseen": [], "all": []}
    for split in range(parser.parse_args().splits):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            model = bundle(split, SAMPLES)
            found["unseen"].append(accuracy(model, split, TEST))
            found["all"].append(accuracy(model, split, TEST, PAIRS))
        print(f"split {split}: {found['unseen'][-1]:.3f} among the unseen, {found['all'][-1]:.3f} among all", flush=True)
    chance = 1 / len(held_out(0))
    bounds = {name: interval(values) for name, values in found.items()}
    met = bounds["unseen"]["low"] > chance
    print(json.dumps({**bounds, "chance": {"unseen": chance, "all": 1 / len(PAIRS)}, "met": met}, sort_keys=True))
    return 0 if met else 1


if __name__ == "__main__":
    with steady(1):
        sys.exit(main())
