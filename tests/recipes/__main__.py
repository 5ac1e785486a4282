"""Do recipes' models reach what can be won? `python -m tests.recipes diagnosis speech`, or none for all of them.

Makes each recipe's project of what is committed, as `make run RECIPE=…` does, lands its first night and runs the pipeline by
`dvc repro`. Prints a table, ends with one line of JSON; exit code 1 when a score is not as the planted law has it.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.recipes.night import PLANTED, Outcome, judge, recipe, run


def main() -> int:
    """Run them one after another."""
    parser = argparse.ArgumentParser(prog="python -m tests.recipes", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *PLANTED], metavar="recipe", help=", ".join(PLANTED))
    parser.add_argument("--samples", type=int, default=0, help="of the first night; 0: all")
    asked = parser.parse_args()
    told = {}
    for name in asked.names or PLANTED:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"recipe-{name}-") as folder:
            outcome = judge(recipe(name).law.scores, run(name, Path(folder, name), asked.samples))
        seconds = round(time.monotonic() - began)
        show(name, outcome, seconds)
        told[name] = {"share": round(outcome.share, 4), "samples": outcome.samples, "seconds": seconds}
        told[name] |= {"selected": outcome.selected, "problems": list(outcome.problems)}
    print(json.dumps(told))
    return 1 if any(one["problems"] for one in told.values()) else 0


def show(name: str, outcome: Outcome, seconds: int) -> None:
    """Print a night as a table."""
    print(f"\n{name}: {outcome.samples} test samples, {seconds} s\n{'candidate':<20} {'score':>6} {'best':>6}")
    for row in outcome.rows:
        print(f"{row.name:<20} {row.score:>6.3f} {row.best:>6.3f}{'  selected' if row.name == outcome.selected else ''}")
    print("\n".join([f"share of what can be won: {outcome.share:.3f}", *outcome.problems]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
