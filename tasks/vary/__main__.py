"""One table of what a key of params.yaml does to the score: `python -m tasks.vary split.fold 0 1 2 3 4`.

`split.fold` over all folds is cross-validation, everything refitted, with all samples' answers pooled; `split.train_share
0.125 0.25 0.5 1` tells whether more data would help; any other key of the pipeline works too, `train.epochs 10 20 40`.

Code, params.yaml and data are those of `nightly`, the last run that was closed: what you changed in the checkout since is not
in it. `--commit main` takes code and params.yaml as `make run` deployed them last, with nightly's data; `--commit
fused-model@v1.0.0` a version with its own. The pipeline runs in a clone that is thrown away: nothing is pushed, promoted or
changed in your checkout. What does not depend on the value is not done again, and of a call that was stopped only what is left.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tasks.errors import TasksError
from tasks.files import write_bytes
from tasks.run.settings import settings
from tasks.vary import Asked, vary
from tasks.vary.picture import draw_curve, numbers
from tasks.vary.table import Row, as_csv, as_text

INTERRUPTED = 130  # as a shell says it


def main(arguments: list[str] | None = None) -> int:
    """Print a line per value and the table; exit code 2: a mistake, 130: stopped, and nothing is left behind."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.vary", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("param", help="a key of params.yaml, e.g. split.train_share")
    parser.add_argument("values", nargs="+", metavar="value", help="as they would stand in params.yaml")
    parser.add_argument("--commit", default="", help="a branch, tag or commit of central (nightly)")
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE", help="for all values, repeatable")
    parser.add_argument("--to", type=Path, help="where table.csv and curve.png go (<home>/vary/<param>)")
    asked = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        s = settings()
        to = asked.to or s.home / "vary" / asked.param
        rows = vary(s, Asked(asked.param, tuple(asked.values), asked.commit, tuple(asked.override)), _say)
        _say(f"\n{as_text(asked.param, rows)}\n\nin {', '.join(map(str, _written(to, asked.param, rows)))}")
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        _say("stopped; nothing is left running")
        return INTERRUPTED
    return 0


def _written(to: Path, param: str, rows: Sequence[Row]) -> list[Path]:
    """Write the table, and the picture where values are numbers; return where they are."""
    write_bytes(to / "table.csv", as_csv(param, rows))
    each = [row for row in rows if row.train is not None]
    if numbers(each) is None:
        (to / "curve.png").unlink(missing_ok=True)  # of another call
        return [to / "table.csv"]
    draw_curve(to / "curve.png", param, each)
    return [to / "table.csv", to / "curve.png"]


def _say(line: str) -> None:
    print(line, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """One signal stops us in order; more of them do not disturb that."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
