"""What a night costs when little is new: `python -m tests.bench.incremental`, or `… --samples 400 --new 40` for a quick look.

640 x 480 JPEG, 2 s WAV and text: 10,000 samples land, then 100. Each night runs on a machine whose home and cache are empty.
Beside it the second night as plain DVC stages, `dvc repro` without the memo, and a night after a change of one encoder's code.
Ends with one line of JSON; exit code 1 below a bar of BARS.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.index import read_index
from tasks.run import lock
from tasks.run.child import scrubbed_environment
from tasks.run.git import git
from tasks.run.settings import Settings
from tasks.run.workspace import workspace
from tests.bench.landing import land
from tests.bench.nights import ROOT, Machine, Night, World

BARS = {
    "decoded_more_than_new": 0,  # samples, in each of profile and extract
    "raw_bytes_read_over_new": 1.05,
    "in_stage_share_of_first": 0.03,
    "stages_whose_bytes_differ_from_scratch": 0,
}
PARAMS: dict[str, Any] = {
    "ingest": {"partition_rows": 1000},
    "modalities": {
        "audio": {"kind": "audio", "max_s": 2.0, "sample_rate_hz": 16_000},
        "image": {"kind": "image", "side_px": 64, "channels": 3},
        "text": {"kind": "text"},
    },
    "fusions": ["concat"],
    "pretrain": {"epochs": 1},
    "train": {"epochs": 3, "finetune": []},
    "evaluate": {"bootstrap": 200},
    "robustness": {},
}
ENCODER = "tasks/extract/image.py"


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000, help="that land first")
    parser.add_argument("--new", type=int, default=100, help="that land then")
    parser.add_argument("--remote", default="", help="DVC's remote, e.g. s3://bucket/prefix; a folder without it")
    parser.add_argument("--out", type=Path, help="a file for the figures too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-incremental-") as place:
        figures = measure(Path(place), asked.samples, asked.new, asked.remote or str(Path(place) / "remote"))
    figures["passed"] = not (missed := [name for name, bar in BARS.items() if figures[name] > bar])
    if not figures["recomputed_after_change"]:
        missed.append("recomputed_after_change")
        figures["passed"] = False
    print(f"below the bar: {', '.join(missed)}" if missed else "all bars are met")
    line = json.dumps(figures)
    if asked.out:
        asked.out.write_text(line + "\n")
    print(line)
    return 1 if missed else 0


def measure(place: Path, samples: int, new: int, remote: str) -> dict[str, Any]:
    """Run all nights; returns the figures."""
    world = World(place, remote)
    world.make(PARAMS)
    began = time.monotonic()
    landed = land(world.landing / "night-1", 0, samples)
    print(f"landed {samples} samples, {landed / 1e6:.0f} MB, in {time.monotonic() - began:.0f} s", flush=True)
    first = _night(world, "first")
    land(world.landing / "night-2", samples, new)
    second = _night(world, "second")
    print("the second night again, on another machine, with all in the memo", flush=True)
    os.sync()
    empty = world.machine("empty").stages(second[0].opened)
    figures = compare(samples, new, first, second, empty)
    figures |= by_dvc(world, first[0], second[0], samples + new)
    return figures | after_change(world, samples + new, second[0])


def _night(world: World, name: str) -> tuple[Night, dict[str, Any]]:
    """A night on a new machine that opens and closes, and a new one that works: what it came to, what it cost."""
    print(f"{name} night", flush=True)
    control, worker = world.machine(f"{name}-control"), world.machine(name)
    began = time.monotonic()
    opened = control.open(name)
    opened_s = time.monotonic() - began
    os.sync()  # what landed and was opened is not written to the disk at the worker's cost
    raw = raw_sizes(world, opened["commit"])
    night = worker.stages(opened, raw=raw)
    control.close(night)
    total = sum(file.stat().st_size for file in (worker.home / "cache" / "files" / "md5").rglob("*") if file.is_file())
    read = {name: size for name, size in night.brought.items() if size}
    costs = {"open_s": opened_s, "raw_bytes_read": worker.cached(raw), "raw_bytes_by": read, "bytes_held": total, "raw": raw}
    return night, costs


def raw_sizes(world: World, commit: str) -> dict[str, int]:
    """md5 -> bytes of a run's raw partitions."""
    path = world.place / "index.json"
    path.write_text(git("show", f"{commit}:data/1_raw.json", cwd=world.place / "central.git"))
    parts = [part for batch in read_index(path) for found in batch.partitions.values() for part in found]
    home = world.place / "machines"
    files = {part.md5: f"files/md5/{part.md5[:2]}/{part.md5[2:]}" for part in parts}
    found = {md5: sorted(home.glob(f"*-control/cache/{file}")) for md5, file in files.items()}
    return {md5: paths[0].stat().st_size for md5, paths in found.items()}


def compare(samples: int, new: int, first: tuple[Night, Any], second: tuple[Night, Any], empty: Night) -> dict[str, Any]:
    """The second night against the first one and against one in which all is in the memo."""
    both = [name for name in second[0].ran() if name in empty.ran()]
    new_bytes = sum(size for md5, size in second[1]["raw"].items() if md5 not in first[1]["raw"])
    nights = {"first": first[0], "second": second[0], "empty": empty}
    of_first = first[0].in_stage_s(first[0].ran())
    counted = {name: second[0].work[name] for name in both if name.startswith(("profile", "extract"))}
    return {
        "samples": samples,
        "new": new,
        "decoded": {name: work.get("decoded", 0) for name, work in counted.items()},
        "decoded_more_than_new": max(abs(work.get("decoded", 0) - new) for work in counted.values()),
        "raw_bytes_new": new_bytes,
        "raw_bytes_read": second[1]["raw_bytes_read"],
        "raw_bytes_read_over_new": round(second[1]["raw_bytes_read"] / new_bytes, 4),
        "raw_bytes_by": second[1]["raw_bytes_by"],
        "raw_bytes_first": sum(first[1]["raw"].values()),
        "in_stage_s": {
            "first": round(of_first, 2),
            "second": round(second[0].in_stage_s(both), 2),
            "empty": round(empty.in_stage_s(both), 2),
        },
        "in_stage_share_of_first": round((second[0].in_stage_s(both) - empty.in_stage_s(both)) / of_first, 4),
        "stages_whose_bytes_differ_from_memo": _differing(second[0].locked(), empty.locked()),
        "cpu_s": {name: round(sum(night.cpu_s.values()), 1) for name, night in nights.items()},
        "open_s": {"first": round(first[1]["open_s"], 1), "second": round(second[1]["open_s"], 1)},
        "stages_cpu_s": {name: night.cpu_s for name, night in nights.items()},
        "stages_s": {name: {n: p["spent_s"] for n, p in night.fragments.items()} for name, night in nights.items()},
    }


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(one[name] != other[name] for name in one)


def by_dvc(world: World, first: Night, second: Night, samples: int) -> dict[str, Any]:
    """The second night as plain DVC stages, on a new machine: `dvc pull` of the raw data, `dvc repro` without the memo."""
    machine = world.machine("dvc")
    s = Settings(machine.home, str(world.place / "central.git"), world.remote, machine.home / "cache", "")
    print("the second night by `dvc repro`", flush=True)
    with workspace(s, second.opened["commit"], "dvc") as folder:
        began = time.monotonic()
        said = _dvc(machine, folder, "pull", "--quiet", "--allow-missing")
        pulled = time.monotonic() - began
        said = _dvc(machine, folder, "repro", "--no-run-cache")
        took = time.monotonic() - began - pulled
        locked = lock.read(folder)
    decoded = sum(int(word.removeprefix("decoded=")) for word in said.split() if word.startswith("decoded="))
    return {
        "stages_whose_bytes_differ_from_scratch": _differing(second.locked(), locked),
        "dvc_repro": {
            "pull_s": round(pulled, 1),
            "repro_s": round(took, 1),
            "decoded": decoded,
            "raw_bytes_read": machine.cached(raw_sizes(world, second.opened["commit"])),
        },
    }


def _dvc(machine: Machine, folder: Path, *words: str) -> str:
    environment = scrubbed_environment(machine.home / "stages")
    done = subprocess.run(["dvc", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"dvc {' '.join(words)}: {done.stdout[-500:]}\n{done.stderr[-2000:]}")
    return done.stdout


def after_change(world: World, samples: int, second: Night) -> dict[str, Any]:
    """A night after a change of the image encoder's code: its features are all made again, nothing else is decoded."""
    print(f"a night after a change of {ENCODER}", flush=True)
    world.commit(ENCODER, (ROOT / ENCODER).read_text() + "\n# changed\n")
    worker = world.machine("changed")
    night = worker.stages(world.machine("changed-control").open("changed"), only="extract@")
    work = {name: dict(night.work[name]) for name in night.ran() if night.work[name].get("decoded")}
    image = night.work["extract@image"]
    others = [name for name in work if name not in {"extract@image", "pretrain@image"}]
    return {
        "decoded_after_change": work,
        "recomputed_after_change": image.get("decoded") == samples and not image.get("brought") and not others,
    }


if __name__ == "__main__":
    sys.exit(main())
