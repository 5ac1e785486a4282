"""A method against its absence, seed by seed: the lead with its interval (t), held against a bar, as a line of JSON."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import t

Case = Callable[[int], tuple[float, float]]  # from a seed: the score with the method, and without

HELPS, HURTS_NOT = 0.0, -0.01  # that the lower bound must be above


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean and 95 % interval of a mean over seeds."""
    array = np.array(values)
    mean, half = float(array.mean()), float(t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    return {"value": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def judge(description: str | None, cases: Mapping[str, tuple[Case, float]]) -> int:
    """Run the cases, print, and say whether each lead's lower bound is above its bar: 0, else 1."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", choices=cases, default=list(cases))
    asked = parser.parse_args()
    found = {}
    for name in asked.cases:
        case, bar = cases[name]
        scores = np.array([case(seed) for seed in range(asked.seeds)])
        lead = interval(scores[:, 0] - scores[:, 1])
        found[name] = {"lead": lead, "needed": bar, "met": lead["low"] > bar, "with": interval(scores[:, 0])["value"]}
        print(f"{name}: {lead}, needed above {bar}", flush=True)
    print(json.dumps(found, sort_keys=True))
    return 0 if all(case["met"] for case in found.values()) else 1
