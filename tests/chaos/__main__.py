"""`python -m tests.chaos`: see the package's docstring; the last lines are the table, the exit code is 1 when one failed."""

import argparse
import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.embedded.preflight import only_one
from tasks.files import write_json
from tasks.run.git import git
from tests.chaos.house import ROOT, House, build
from tests.chaos.night import Night
from tests.chaos.rows import ROWS, Result, undisturbed

NAMES = {
    3: "worker killed",
    4: "scheduler killed 10 times",
    5: "API server away for 60 s",
    20: "two trainings at once (slowdown)",
    24: "anything killed, 10 times",
}


def main() -> int:
    """Do the nights that are missing, then print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--row", type=int, action="append", choices=sorted(ROWS), help="these rows alone")
    parser.add_argument("--nights", type=int, default=20, help="of row 24; the others have one each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path(".nightloom/chaos"))
    parser.add_argument("--port", type=int, default=8180)
    asked = parser.parse_args()
    commit = git("rev-parse", "--short=10", "HEAD", cwd=ROOT)
    folder = asked.folder.absolute() / commit  # what was shown of other code is not shown of this
    with only_one(folder.parent, "make chaos"):
        state = _state(folder)
        house = build(folder / "house", asked.port)
        calm = _calm(house, folder, state)
        for row in asked.row or sorted(ROWS):
            for number in range(asked.nights if row == 24 else 1):
                _once(house, calm, folder, state, row, asked.seed + number)
    return _table(state)


def _state(folder: Path) -> dict[str, Any]:
    path = folder / "state.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"calm": None, "nights": {}}
    return found


def _calm(house: House, folder: Path, state: dict[str, Any]) -> Night:
    if state["calm"] is None:
        found = undisturbed(house)
        if found.state != "success" or max(found.tries.values()) > 1:
            sys.exit(f"the undisturbed night ended as {found.state}, tries {found.tries}; see {house.settings.home}/logs")
        state["calm"] = asdict(found)
        write_json(folder / "state.json", state)
        print(f"undisturbed: {found.seconds:.0f} s, work {dict(found.work)}", flush=True)
    return Night(**state["calm"])


def _once(house: House, calm: Night, folder: Path, state: dict[str, Any], row: int, seed: int) -> None:
    key = f"{row}/{seed}"
    if key in state["nights"]:
        return
    print(f"row {row}, seed {seed}", flush=True)
    found = ROWS[row](house, calm, seed)
    state["nights"][key] = asdict(found)
    write_json(folder / "state.json", state)
    told = "survived" if found.survived else f"FAILED: {found.why}"
    print(f"row {row}, seed {seed}: {told}, {found.tries} faults, {found.seconds:.0f} s", flush=True)
    if not found.survived:  # its logs and repositories are looked at by a person
        house.settings.home.rename(folder / f"failed-{row}-{seed}")


def _table(state: dict[str, Any]) -> int:
    print("\nrow  fault                              nights  faults  survived  recovery s: median  worst  redone")
    failed = 0
    for row, name in NAMES.items():
        nights = [Result(**n) for key, n in sorted(state["nights"].items()) if key.startswith(f"{row}/")]
        if nights:
            recovery = [second for n in nights for second in n.recovery_s] or [0.0]
            survived = sum(n.survived for n in nights)
            failed += len(nights) - survived
            print(
                f"{row:>3}  {name:<34}{len(nights):>7}{sum(n.tries for n in nights):>8}{survived:>10}"
                f"{statistics.median(recovery):>20.1f}{max(recovery):>7.1f}{statistics.mean(n.redone for n in nights):>8.0%}"
            )
    for key, n in sorted(state["nights"].items()):
        if not n["survived"]:
            print(f"failed: row {key.replace('/', ', seed ')}: {n['why']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
