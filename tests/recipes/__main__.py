"""Do recipes' models reach what can be won? `python -m tests.recipes diagnosis speech`, or none for all of them.

Makes each recipe's project of what is committed, lands its first night and runs it under Airflow, as `make run RECIPE=…` does,
one after another; cut off, name those that are left. `--repro` runs the pipeline by `dvc repro`, `--stages` the bare stages.
Prints a table each, ends with one line of JSON; exit code 1 when a score is not as the planted law has it.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.recipes.judging import FEWEST, Outcome, judge
from tests.recipes.night import PLANTED, by_airflow, by_dvc, by_stages, recipe


def main() -> int:
    """Run them one after another."""
    parser = argparse.ArgumentParser(prog="python -m tests.recipes", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *PLANTED], metavar="recipe", help=", ".join(PLANTED))
    parser.add_argument("--samples", type=int, default=0, help="of the first night; 0: all")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--repro", dest="run", action="store_const", const=by_dvc, help="without a scheduler: dvc repro")
    way.add_argument("--stages", dest="run", action="store_const", const=by_stages, help="the stages alone, the quickest")
    asked = parser.parse_args()
    told = {}
    for name in asked.names or PLANTED:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"recipe-{name}-") as folder:
            scores = (asked.run or by_airflow)(name, Path(folder), asked.samples)
        outcome, seconds = judge(recipe(name).best_of(scores["alarms"]), scores), round(time.monotonic() - began)
        problems = [*outcome.problems, *few(outcome, asked.samples)]
        show(name, outcome, seconds, problems)
        shares = {mark: round(share, 4) for mark, share in outcome.shares.items()}
        told[name] = {"shares": shares, "samples": outcome.samples, "seconds": seconds, "selected": outcome.selected}
        told[name]["problems"] = problems
    print(json.dumps(told))
    return 1 if any(one["problems"] for one in told.values()) else 0


def few(outcome: Outcome, asked: int) -> list[str]:
    """That a whole night judges by too few samples."""
    return [] if asked or outcome.samples >= FEWEST else [f"{outcome.samples} test samples, needed {FEWEST}"]


def show(name: str, outcome: Outcome, seconds: int, problems: list[str]) -> None:
    """Print a night as a table."""
    print(f"\n{name}: {outcome.samples} test samples, {seconds} s\n{'mark':<22} {'candidate':<18} {'score':>6} {'best':>6}")
    for row in outcome.rows:
        chosen = "  selected" if row.name == outcome.selected else ""
        print(f"{row.mark:<22} {row.name:<18} {row.score:>6.3f} {row.best:>6.3f}{chosen}")
    won = [f"share of what can be won ({mark}): {share:.3f}" for mark, share in outcome.shares.items()]
    print("\n".join([*won, *problems]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
