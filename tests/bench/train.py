"""Fitting end to end, and not having to: `python -m tests.bench.train` (some five minutes; CPU seconds, one thread).

    loops     the same modules, data and batch size from raw bytes: our loop beside the usual research loop, in turn, each in a
              process of its own; samples a CPU second, peak memory, accuracy on new samples with the interval (t) of the
              difference over seeds. The DataLoader has no workers: what they add costs CPU seconds too.
    nights    what nights 1 to 10 cost together, a night bringing a little more: Nightloom's way (encoders fitted on the first
              night, only what is new encoded, the head refitted on all) beside fitting all end to end from nothing every night,
              by our own loop. Decoding, pretraining and extraction are counted. Costs of end to end are of one seed.

Ends with one line of JSON; exit code 1 when ours is below 1.5 x the usual loop or less accurate, when ten nights cost more than
a third, or when they end more than a point less accurate.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from scipy.stats import t

from tasks.params import Train
from tasks.steady import steady
from tests.bench.branches import LOOPS, accuracy, drawn, fresh, ours
from tests.bench.frozen import VAL, Frozen

FASTER, THIRD, POINT = 1.5, 1 / 3, 0.01
SAMPLES, EPOCHS, TEST = 800, 6, 2000
FIRST, LATER, NIGHTS, TOLD = 800, 40, 10, (1, 2, 10)
END_TO_END = Train(epochs=20)  # at most


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and its CPU seconds."""
    began = time.process_time()
    return work(), time.process_time() - began


def loop(which: str, seed: int) -> dict[str, Any]:
    """Run one of the two loops in this process."""
    raw, test = drawn(SAMPLES, seed), drawn(TEST, seed, test=True)
    val, train = raw.part(slice(0, SAMPLES // VAL)), raw.part(slice(SAMPLES // VAL, None))
    encoders = fresh(train, seed)
    knobs = Train(epochs=EPOCHS, patience=EPOCHS, modality_dropout=0.0)
    before = peak_mb()
    model, cpu_s = timed(lambda: LOOPS[which](train, val, encoders, knobs, seed))
    found = {"rate": len(train) * EPOCHS / cpu_s, "peak_mb": peak_mb(), "peak_before_mb": before}
    return found | {"accuracy": accuracy(model, test, encoders)}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def nights(seed: int, every: bool) -> dict[str, Any]:
    """Ten nights both ways; `every`: end to end is fitted every night, else on the last one alone."""
    raw, test = drawn(FIRST + LATER * (NIGHTS - 1), seed), drawn(TEST, seed, test=True)
    ends = [FIRST + LATER * night for night in range(NIGHTS)]
    way, spent = Frozen(seed), {"frozen": 0.0, "end_to_end": 0.0}
    costs: dict[str, dict[int, float]] = {name: {} for name in spent}
    for night, (begin, end) in enumerate(zip([0, *ends], ends, strict=False), 1):
        new, whole = raw.part(slice(begin, end)), raw.part(slice(0, end))
        spent["frozen"] += timed(lambda new=new: way.night(new))[1]
        if every or night == NIGHTS:
            is_val = np.arange(end) % VAL == 0
            train, val = whole.where(~is_val), whole.where(is_val)

            def retrained(train: Any = train, val: Any = val) -> Any:
                encoders = fresh(train, seed)
                return ours(train, val, encoders, END_TO_END, seed), encoders

            (model, encoders), cpu_s = timed(retrained)
            spent["end_to_end"] += cpu_s
        for name in spent:
            costs[name][night] = spent[name]
    found = {"frozen": way.accuracy(test), "end_to_end": accuracy(model, test, encoders)}
    return {"accuracy": found, "costs": costs if every else {}}


def apart(*words: str) -> dict[str, Any]:
    """A piece of this bench in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.train", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(" ".join(words), found, flush=True)
    return found


def led(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Mean lead of paired figures with its 95 % interval (t)."""
    lead = np.array(one) - np.array(other)
    half = float(t.ppf(0.975, len(lead) - 1) * lead.std(ddof=1) / math.sqrt(len(lead)))
    mean = float(lead.mean())
    return {"value": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def loops_told(seeds: int) -> dict[str, Any]:
    """The first part, with its verdict."""
    rows = [{which: apart("--loop", which, "--seed", str(seed)) for which in LOOPS} for seed in range(seeds)]
    means = {w: {key: round(float(np.mean([row[w][key] for row in rows])), 4) for key in rows[0][w]} for w in LOOPS}
    lead = led(*([row[which]["accuracy"] for row in rows] for which in ("ours", "usual")))
    faster = means["ours"]["rate"] / means["usual"]["rate"]
    passed = bool(faster >= FASTER and lead["high"] >= 0 and lead["value"] >= -POINT)
    return {**means, "faster": round(faster, 2), "accuracy_lead": lead, "passed": passed}


def nights_told(seeds: int) -> dict[str, Any]:
    """The second part, with its verdict."""
    rows = apart("--nights", str(seeds))["seeds"]
    costs = rows[0]["costs"]
    told = {night: {name: round(costs[name][str(night)], 1) for name in costs} for night in TOLD}
    share = costs["frozen"][str(NIGHTS)] / costs["end_to_end"][str(NIGHTS)]
    means = {name: round(float(np.mean([row["accuracy"][name] for row in rows])), 4) for name in ("frozen", "end_to_end")}
    lead = led(*([row["accuracy"][name] for row in rows] for name in ("frozen", "end_to_end")))
    passed = bool(share <= THIRD and lead["low"] >= -POINT)
    return {"cpu_s": told, "share": round(share, 3), "accuracy": means, "accuracy_lead": lead, "passed": passed}


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--loop", choices=LOOPS, help="one loop alone")
    parser.add_argument("--nights", type=int, help="ten nights of so many seeds alone")
    parser.add_argument("--seed", type=int, default=0, help="of the loop")
    asked = parser.parse_args()
    if asked.loop or asked.nights:
        with steady(1):
            found = loop(asked.loop, asked.seed) if asked.loop else {"seeds": [nights(s, s == 0) for s in range(asked.nights)]}
        print(json.dumps(found))
        return 0
    with ThreadPoolExecutor(2) as pool:  # a core for each part: CPU seconds are counted
        parts = {"loops": pool.submit(loops_told, asked.seeds), "nights": pool.submit(nights_told, asked.seeds)}
        found = {name: part.result() for name, part in parts.items()}
    passed = all(part["passed"] for part in found.values())
    print(json.dumps({"passed": passed, **found}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
