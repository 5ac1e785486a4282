"""Promote a closed run, or show the registry: `python -m tasks.promote --history`."""

import argparse
import sys
from datetime import UTC, datetime

from tasks.errors import TasksError
from tasks.promote import registry
from tasks.promote.registry import Reign
from tasks.run.settings import settings

HEAD = ("#", "version", "since (UTC)", "run", "anchor", "approved by", "commit")
WIDTHS = (4, 10, 16, 30, 10, 14, 10)  # 100 columns with a blank between


def table(reigns: list[Reign]) -> str:
    """The reigns as a table of at most 100 columns, the newest first."""
    rows = [HEAD, *(_row(reign) for reign in reversed(reigns))]
    return "\n".join(" ".join(_fit(cell, width) for cell, width in zip(row, WIDTHS, strict=True)).rstrip() for row in rows)


def _row(reign: Reign) -> tuple[str, ...]:
    since = datetime.fromtimestamp(reign.date_s, UTC).strftime("%Y-%m-%d %H:%M")
    told = [reign.trailers.get(key, "-") for key in ("Run", "Anchor", "Approved-by")]
    return (str(reign.number), reign.version, since, *told, reign.commit[:10])


def _fit(cell: str, width: int) -> str:
    return (cell if len(cell) <= width else cell[: width - 1] + "…").ljust(width)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tasks.promote", description=__doc__)
    parser.add_argument("--history", action="store_true", help="show every champion, the newest first")
    parser.add_argument("--run", help="the closed run to promote")
    parser.add_argument("--commit", help="the commit that closed it")
    parser.add_argument("--approved-by", help="who approves, for the record")
    given = parser.parse_args(arguments)
    s = settings()
    try:
        if given.run and given.commit and given.approved_by:
            from tasks.promote.promote import promote

            answer = promote(s, given.run, given.commit, given.approved_by)
            print(f"champion #{answer['number']} is {answer['version']}" + ("" if answer["promoted"] else ": nothing new"))
        elif given.history:
            reigns = registry.history(s.central)
            print(table(reigns) if reigns else "no champion yet: nothing was promoted")
        else:
            parser.error("either --history, or --run, --commit and --approved-by")
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
