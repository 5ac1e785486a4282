"""Does the gate stop what it should? `python -m tests.nights`, or `… --seeds 5 --nights good "label noise"`.

Of every seed a champion is made, and on top of it a good night and one of each fault of faults.py. A fault is stopped when its
night is rejected and the row that is meant for it fails, naming the modality where one is to blame. `decay` and `drift` warn by
default; here they block, by `gate.rows`, on good nights too.

Two seeds run at a time. With `--results` a seed's nights are kept in a folder and not run again: after a change of code, name
another one. Ends with a table and one line of JSON; exit code 1 below the bars.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.forked import call
from tests.nights.faults import FAULTS, GOOD, Fault
from tests.nights.night import TOLD, first, second

STOPPED, PASSED = 0.95, 0.90  # shares of the seeds: of each fault by its own row, of good nights that promote


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--nights", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="night", help=", ".join(FAULTS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, help="a folder: a file per seed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nights-") as place, ThreadPoolExecutor(asked.processes) as pool:
        results = (asked.results or Path(place, "results")).resolve()
        results.mkdir(parents=True, exist_ok=True)
        each = pool.map(lambda seed: run(seed, asked.nights, Path(place), results), range(asked.seeds))
        found = [night for nights in each for night in nights]
    figures = {name: judge(name, [night for night in found if night["night"] == name]) for name in asked.nights}
    missed = [name for name, body in figures.items() if not body["met"]]
    show(figures)
    print(f"below the bar: {', '.join(missed)}" if missed else "all bars are met")
    print(json.dumps({"seeds": asked.seeds, "missed": missed, "nights": figures}))
    return 1 if missed else 0


def run(seed: int, names: Sequence[str], place: Path, results: Path) -> list[dict[str, Any]]:
    """The nights of a seed."""
    kept = results / f"{seed}.json"
    done: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.is_file() else []
    left = [name for name in names if name not in {night["night"] for night in done}]
    if left:
        with tempfile.TemporaryDirectory(prefix=f"{seed}-", dir=place) as folder:
            for night in nights(seed, left, Path(folder)):
                print(f"seed {seed}: {told(night)}", flush=True)
                done.append(night)
        kept.write_text(json.dumps(done))
    return done


def nights(seed: int, names: Sequence[str], place: Path) -> Iterator[dict[str, Any]]:
    """A champion, and nights on top of it, each in a process of its own."""
    base = place / "first"
    base.mkdir()
    call(base, first, str(seed))
    for number, name in enumerate(names):
        folder = place / f"second-{number}"
        folder.mkdir()
        call(folder, second, str(seed), name, str(base))
        yield json.loads((folder / TOLD).read_text())


def told(night: dict[str, Any]) -> str:
    """A night in one line."""
    failed = ", ".join(night["failed"]) or "no row"
    admitted = "" if night["admitted"] else ", not admitted"
    return f"{night['night']}: {failed} failed, {night['verdict']}{admitted}, {night['cpu_s']:.1f} CPU-seconds"


def judge(name: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the nights of one kind came to; `met`: whether they reach their bar."""
    fault, seeds = FAULTS[name], len(found)
    right = sum(night["verdict"] == "promote" for night in found) if name == GOOD else sum(stopped(fault, n) for n in found)
    return {
        "dose": fault.dose,
        "row": fault.row,
        "seeds": seeds,
        "right": right,
        "met": right >= (PASSED if name == GOOD else STOPPED) * seeds,
        "rejected": sum(night["verdict"] == "reject" for night in found),
        "others": dict(Counter(row for night in found for row in night["failed"] if row != fault.row).most_common()),
        "not_admitted": sum(not night["admitted"] for night in found),
        "cpu_s": round(sum(night["cpu_s"] for night in found) / seeds, 1),
    }


def stopped(fault: Fault, night: dict[str, Any]) -> bool:
    """Whether the night was rejected, the row that is meant for the fault failed, and named what is to blame."""
    reason = night["failed"].get(fault.row)
    return reason is not None and fault.names in reason and night["verdict"] == "reject"


def show(figures: dict[str, dict[str, Any]]) -> None:
    """Print a line per kind of night."""
    print(f"\n{'night':<21} {'row':<10} right  rejected  CPU-s  other rows that failed")
    for name, body in figures.items():
        others = ", ".join(f"{row} {times}" for row, times in body["others"].items())
        of = f"{body['right']}/{body['seeds']}"
        print(f"{name:<21} {body['row'] or 'promoted':<10} {of:<7} {body['rejected']:<8} {body['cpu_s']:<6} {others}")


if __name__ == "__main__":
    sys.exit(main())
