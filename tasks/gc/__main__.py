"""Delete what nothing needs any more: `python -m tasks.gc --yes`; without --yes it only says what would go."""

import argparse
import sys
from pathlib import Path

from tasks.errors import TasksError
from tasks.gc import Ages, collect
from tasks.run.settings import settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    ages = Ages()
    parser = argparse.ArgumentParser(prog="python -m tasks.gc", description=__doc__)
    parser.add_argument("--nights", type=int, default=ages.nights, help="of `nightly` that stay whole (%(default)s)")
    parser.add_argument("--runs-days", type=int, default=ages.runs_days, help="refs and failed runs stay (%(default)s)")
    parser.add_argument("--rows-days", type=int, default=ages.rows_days, help="Airflow's rows stay (%(default)s)")
    parser.add_argument("--yes", action="store_true", help="delete; without, it only looks")
    parser.add_argument("--idle", action="store_true", help="you know that no run is at work")
    given = parser.parse_args(arguments)
    if min(given.nights, given.runs_days, given.rows_days) < 1:
        parser.error("--nights, --runs-days and --rows-days must be at least 1")
    try:
        lines = collect(settings(), Path.cwd(), Ages(given.nights, given.runs_days, given.rows_days), given.yes, given.idle)
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        sys.exit(2)
    for line in lines:
        print(f"{'deleted' if given.yes else 'would go'}: {line}")
    if not given.yes:
        print("nothing was deleted; to do it: make gc YES=1")


if __name__ == "__main__":
    main()
