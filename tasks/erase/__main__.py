"""Erase samples: `python -m tasks.erase ID … --reason "…" --yes`; without --yes it only says what would go."""

import argparse
import sys

from tasks import params
from tasks.erase import erase
from tasks.erase.plan import Plan
from tasks.errors import TasksError
from tasks.run.landed import landing_of
from tasks.run.settings import Settings, settings

SHOWN = 10


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tasks.erase", description=__doc__)
    parser.add_argument("samples", nargs="*", metavar="ID", help="sample ids")
    parser.add_argument("--reason", default="", help="why, for the diary")
    parser.add_argument("--yes", action="store_true", help="do it; without, it only looks")
    parser.add_argument("--idle", action="store_true", help="you know that no run is at work")
    given = parser.parse_args(arguments)
    s = settings()
    try:
        plan = erase(s, given.samples, given.reason, given.yes, given.idle)
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        sys.exit(2)
    print("\n".join(told(s, plan, given.yes)))


def told(s: Settings, plan: Plan, done: bool) -> list[str]:
    """The answer for people."""
    if not plan.found:
        return ["nothing here holds these samples" + (" (they are refused should they land)" if done else "")]
    verb = "erased" if done else "would go"
    lines = [
        f"{verb}: {len(plan.raw)} raw partitions, rewritten where the next night reads them",
        *(f"  data/1_raw/{path}" for path in sorted(set(plan.raw.values()))[:SHOWN]),
        f"{verb}: {len(plan.derived)} objects made of them, {len(plan.memo)} names in the memo, {len(plan.pages)} pages and"
        f" logs, {len(plan.artifacts)} artifacts in MLflow",
        *([f"{verb}: their rows in {len(plan.predictions)} files of predictions"] if plan.predictions else []),
    ]
    for version in plan.versions:
        lines.append(f"{version}: not reproducible: erased data ({', '.join(plan.roles[version]) or 'in its raw data'})")
    lines += plan.uploads
    if plan.landed:
        lines += [f"yours to delete, in the landing zone ({_landing(s)}):", *(f"  {name}" for name in plan.landed)]
    lines.append("on other machines: delete the folder `cache` of each worker's home; it is filled again from the remote")
    return lines if done else [*lines, 'nothing was changed; to do it: REASON="…" YES=1 (or --reason "…" --yes)']


def _landing(s: Settings) -> str:
    try:
        return landing_of(s, params.load())
    except TasksError:  # what was erased is erased, and has to be told
        return "ingest.landing"


if __name__ == "__main__":
    main()
