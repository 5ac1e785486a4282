"""Measure the bundle in this checkout: `python -m tasks.measure`."""

import sys
from pathlib import Path

from tasks.errors import TasksError
from tasks.measure import measure, raw_samples
from tasks.paths import BUNDLE
from tasks.stage import MISTAKE, leave


def main() -> None:
    """Print what was measured."""
    try:
        measured = measure(BUNDLE, raw_samples(Path()))
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        sys.exit(MISTAKE)
    print(" · ".join(f"{name} {value}" for name, value in measured.items()))


if __name__ == "__main__":
    main()
    leave(0)
