"""How near `profile` and `extract` come to what limits them: `python -m tests.bench.extract [kind …]` (some five minutes).

For each kind, with `threads: 2`: samples a second of both stages, reading, hashing and writing included, beside

    decode      the files decoded by the fastest library at hand, nothing else done, one thread on one core
    forward     the network on ready tensors in the stage's own batches, one thread on one core

A stage has two cores, one for each of the two: it is held against the slower one, `profile` against decode alone. Whatever else
a stage does (checks, sha256, measures, preparation, reading, writing) has to find room beside that. `both` is the harder view:
the CPU seconds of decode (and forward) alone as a share of all that the stage spends.

CPU seconds a sample are told too, and as `quiet` the rate that follows of them: what else the machine does slows rates, and CPU
seconds less. The limits are counted in CPU seconds. Ends with one line of JSON; exit code 1 when a stage comes to less than
80 % of its limit.
"""

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.extract import Card, Loaded, load_encoder, network_module, save_encoder
from tasks.extract.__main__ import extract
from tasks.params import KINDS, load
from tasks.paths import ENCODERS
from tasks.profile import kind_module
from tasks.profile.__main__ import profile
from tasks.steady import steady
from tests.bench.contents import CONTENTS
from tests.extract.raw import write_raw

BAR = 0.8
DIFFERENT = 32  # samples; the others are these again
WIDTH = 64
THREADS = 2
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)  # this process, those below it that have ended
TRIES = 2  # of each figure; the best counts: what disturbs only slows
LIMIT_S = 0.5  # that a limit is timed for, each time


def rate(work: Callable[[], int]) -> float:
    """Items a CPU second of this one thread, the best of TRIES; `work` does some and says how many."""
    found = []
    for _ in range(TRIES):
        began, done = time.process_time(), 0
        while time.process_time() - began < LIMIT_S:
            done += work()
        found.append(done / (time.process_time() - began))
    return max(found)


def stage(work: Callable[[str], None], samples: int) -> dict[str, float]:
    """Samples a second, the best of TRIES; CPU milliseconds a sample, the least, and samples a second that follow of them.

    `quiet` supposes two cores for nothing else, on which the processes share their part and this one's part comes on top.
    """
    rates, costs, quiet = [], [], []
    for _ in range(TRIES):
        wall, before = time.perf_counter(), [cpu_s(who) for who in WHO]
        work("thing")
        rates.append(samples / (time.perf_counter() - wall))
        own, below = (cpu_s(who) - spent for who, spent in zip(WHO, before, strict=True))
        costs.append((own + below) / samples * 1000)
        quiet.append(samples / (own + below / THREADS))
    return {"rate": max(rates), "quiet": max(quiet), "cpu_ms": min(costs)}


def cpu_s(who: int) -> float:
    spent = resource.getrusage(who)
    return spent.ru_utime + spent.ru_stime


def planted(kind: str) -> tuple[list[bytes], Loaded]:
    """Raw partitions, params.yaml and an encoder that was never fitted, in the current folder."""
    content, network = CONTENTS[kind], network_module(kind)
    items = [content.make(np.random.default_rng([1, number])) for number in range(DIFFERENT)]
    params = {"modalities": {"thing": {"kind": kind, **content.options}}, "targets": {"label": {}}, "threads": THREADS}
    Path("params.yaml").write_text(json.dumps(params))
    row = {"label": "a", "split": "train", "refused": ""}
    rows = [{**row, "sample_id": f"s{i:06d}", "data": items[i % DIFFERENT]} for i in range(content.samples)]
    write_raw(rows, per_partition=5000)
    options = load().modalities["thing"].options
    facts = network.fit_facts([kind_module(kind).decode(data, options) for data in items], options)
    torch.manual_seed(0)
    encoder = network.Encoder(options, facts, WIDTH, 0.0)
    card = Card(kind, dataclasses.asdict(options), facts, WIDTH, {"label": ["a", "b"]}, 0, [])
    save_encoder(ENCODERS / "thing", card, encoder)
    return items, load_encoder(ENCODERS / "thing")


def limits(kind: str, items: list[bytes], encoder: Loaded) -> dict[str, float]:
    """Samples a second of each thing alone, on one core."""
    content, module, network = CONTENTS[kind], kind_module(kind), network_module(kind)
    options = load().modalities["thing"].options
    rows = [network.prepare(module.decode(data, options), options, encoder.card.facts) for data in items]
    chosen = [rows[number % DIFFERENT] for number in range(encoder.batch)]
    ready = {key: torch.from_numpy(np.stack([row[key] for row in chosen])) for key in rows[0]}

    def decode() -> int:
        content.decode(items)
        return len(items)

    def forward() -> int:
        encoder.network(ready)
        return encoder.batch

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with steady(1), torch.inference_mode():
        return {"decode": rate(decode), "forward": rate(forward)}


def measured(kind: str) -> dict[str, Any]:
    """The figures of one kind."""
    with tempfile.TemporaryDirectory(prefix="bench-extract-") as place, chdir(place):
        items, encoder = planted(kind)
        found: dict[str, Any] = {"kind": kind, "kb": round(len(items[0]) / 1000, 1), **limits(kind, items, encoder)}
        for name, work, parts in (("profile", profile, ["decode"]), ("extract", extract, ["decode", "forward"])):
            told, bounds = stage(work, CONTENTS[kind].samples), [found[part] for part in parts]
            told |= {"share": told["rate"] / min(bounds), "quiet_share": told["quiet"] / min(bounds)}
            told["both"] = sum(1000 / limit for limit in bounds) / told["cpu_ms"]
            found |= {f"{name}_{key}": value for key, value in told.items()}
    return {key: float(f"{value:.3g}") if isinstance(value, float) else value for key, value in found.items()}


def main() -> int:
    """Measure each kind in a process of its own, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=KINDS, help="all, when none is named")
    kinds = parser.parse_args().kinds
    if len(kinds) == 1:
        rows = [measured(kinds[0])]
    else:
        rows = []
        for kind in kinds:
            command = [sys.executable, "-m", "tests.bench.extract", kind]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode not in (0, 1):
                raise SystemExit(f"{kind}: {' '.join(command)} ended with exit code {done.returncode}")
            rows += json.loads(done.stdout.splitlines()[-1])["kinds"]
            print(rows[-1], flush=True)
    passed = all(row[f"{name}_share"] >= BAR for row in rows for name in ("profile", "extract"))
    print(json.dumps({"bar": BAR, "passed": passed, "kinds": rows}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
