"""The registry by hand: `python -m tasks.promote --history`, or promote, roll back, resync."""

import argparse
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from getpass import getuser

from tasks.errors import TasksError
from tasks.promote import registry
from tasks.promote.registry import Reign
from tasks.run.settings import Settings, settings

HEAD = ("#", "version", "since (UTC)", "run", "anchor", "approved by", "commit")
WIDTHS = (4, 10, 16, 30, 10, 14, 10)  # 100 columns with a blank between


def table(reigns: list[Reign]) -> str:
    """The reigns as a table of at most 100 columns, the newest first."""
    rows = [HEAD, *(_row(reign) for reign in reversed(reigns))]
    return "\n".join(" ".join(_fit(cell, width) for cell, width in zip(row, WIDTHS, strict=True)).rstrip() for row in rows)


def _row(reign: Reign) -> tuple[str, ...]:
    since = datetime.fromtimestamp(reign.date_s, UTC).strftime("%Y-%m-%d %H:%M")
    told = [reign.trailers.get(key, "-") for key in ("Run", "Anchor", "Approved-by")]
    if reign.rolled_back:
        told[0] = f"rolled back: {reign.trailers['Reason']}"
    return (str(reign.number), reign.version, since, *told, reign.commit[:10])


def _fit(cell: str, width: int) -> str:
    return (cell if len(cell) <= width else cell[: width - 1] + "…").ljust(width)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tasks.promote", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--history", action="store_true", help="show every champion, the newest first")
    what.add_argument("--run", help="promote this closed run")
    what.add_argument("--rollback", metavar="VERSION", help="let an older version reign again")
    what.add_argument("--resync", action="store_true", help="make MLflow's mirror anew from the tags")
    parser.add_argument("--commit", help="with --run: the commit that closed it")
    parser.add_argument("--approved-by", help="with --run: who approves, for the record")
    parser.add_argument(
        "--reason", default="", help="with --rollback, or --run when a person must approve: why, for the record"
    )
    given = parser.parse_args(arguments)
    if given.run is not None and not (given.commit and given.approved_by):
        parser.error("--run needs --commit and --approved-by")
    chosen = next(act for name, act in ACTS.items() if getattr(given, name) not in (None, False))
    try:
        print(chosen(settings(), given))
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        sys.exit(2)


def _history(s: Settings, given: argparse.Namespace) -> str:
    reigns = registry.history(s.central)
    return table(reigns) if reigns else "no champion yet: nothing was promoted"


def _promote(s: Settings, given: argparse.Namespace) -> str:
    from tasks.promote.promote import promote

    answer = promote(s, given.run, given.commit, given.approved_by, given.reason)
    if "refused" in answer:
        return f"not promoted: {answer['refused']}"
    return f"champion #{answer['number']} is {answer['version']}" + ("" if answer["promoted"] else ": nothing new")


def _rollback(s: Settings, given: argparse.Namespace) -> str:
    from tasks.promote.rollback import rollback

    run = f"by hand, {datetime.now(UTC).isoformat()}"
    answer = rollback(s, given.rollback, given.reason, run, given.approved_by or getuser())
    if not answer["rolled_back"]:
        return f"{answer['version']} reigns already, as champion #{answer['number']}: nothing to do"
    print(f"champion #{answer['number']} is {answer['version']} again", flush=True)  # whether MLflow answers or not
    return _resync(s, given)


def _resync(s: Settings, given: argparse.Namespace) -> str:
    from tasks.promote.mirror import resync

    answer = resync(s)
    lines = [*(f"removed {what}" for what in answer["removed"]), *(f"added {version}" for version in answer["added"])]
    return "\n".join([*lines, f"MLflow shows what the tags say; champion: {answer['champion'] or 'none'}"])


ACTS: Mapping[str, Callable[[Settings, argparse.Namespace], str]] = {
    "history": _history,
    "run": _promote,
    "rollback": _rollback,
    "resync": _resync,
}


if __name__ == "__main__":
    main()
