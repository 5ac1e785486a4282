"""Airflow on this machine: `python -m tasks.embedded run` or `up`; with `--recipe diagnosis` in a project of its own.

While it is up, `approve RUN --reason "…"` or `reject` answers a run that waits for a person; without RUN the only one.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from tasks.embedded.recipe import enter
from tasks.embedded.sample import SAMPLE
from tasks.errors import TasksError

INTERRUPTED = 130  # as a shell says it
ANSWERS = ("approve", "reject")


def main() -> int:
    """Do what the command line asks for; whatever was started has ended when this returns."""
    parser = argparse.ArgumentParser(prog="python -m tasks.embedded", description=__doc__)
    parser.add_argument(
        "what",
        choices=["run", "up", *ANSWERS],
        help="run: one night. up: stay until Ctrl-C. approve, reject: answer a run that waits for a person",
    )
    parser.add_argument("which", nargs="?", metavar="RUN", help="with approve and reject: which run, when several wait")
    parser.add_argument("--reason", default="", help="with approve and reject: why, for the record")
    parser.add_argument("--recipe", help="a folder of data/recipes: work in a clean project of its own")
    asked = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _do(asked)
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing is left running", flush=True)
        return INTERRUPTED


def _do(asked: argparse.Namespace) -> int:
    recipe = asked.recipe
    if asked.what in ANSWERS:
        from tasks.embedded.answer import answer

        return answer(asked.what, asked.which, asked.reason)
    root = enter(Path.cwd(), recipe) if recipe else Path.cwd()
    if recipe:
        print(f"project: {root}", flush=True)
    if asked.what == "run":
        from tasks.embedded.night import run

        return run(root, recipe or SAMPLE)
    from tasks.embedded.up import up

    return up(root)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """One signal stops us in order; more of them do not disturb that."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
