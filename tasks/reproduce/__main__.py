"""Make a promoted version again and say whether it is the same, bit for bit: `python -m tasks.reproduce v1.0.0`."""

import argparse
import sys

from tasks.errors import TasksError
from tasks.reproduce import Outcome, reproduce
from tasks.reproduce.compare import said, totals
from tasks.reproduce.pipeline import clock
from tasks.run.settings import settings


def main(arguments: list[str] | None = None) -> None:
    """Exit code 0: bit-identical; 1: it differs, told where; 2: it could not be tried, told why."""
    parser = argparse.ArgumentParser(prog="python -m tasks.reproduce", description=__doc__)
    parser.add_argument("version", help="e.g. v1.0.0; `python -m tasks.promote --history` lists them")
    version = parser.parse_args(arguments).version
    try:
        outcome = reproduce(settings(), version)
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        sys.exit(2)
    print(told(version, outcome))
    sys.exit(1 if outcome.differing or outcome.work_differing else 0)


def told(version: str, outcome: Outcome) -> str:
    """The answer for people, on a few lines."""
    then = said(totals(outcome.recorded)) if outcome.recorded else "not recorded"
    lines = ["", f"work then: {then}", f"work now:  {said(totals(outcome.work))}", *outcome.work_differing]
    ran = f"{outcome.stages} stages in {clock(outcome.seconds)}"
    if not outcome.differing:
        same = "bit-identical" + (", but by other work" if outcome.work_differing else "")
        return "\n".join([*lines, f"{version}: {same} ({ran})"])
    head = f"{version}: NOT identical ({ran}); the first difference is where to look:"
    return "\n".join([*lines, head, *(f"  {text}" for text in outcome.differing)])


if __name__ == "__main__":
    main()
