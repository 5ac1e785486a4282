"""Methods on planted cases: `python -m tests.bench.helps` prints a line of JSON, exit 1 below the bar.

For each case (see tests/bench/helps/<method>.py) the leads over the same training without the method, paired by seed, mean with
a 95 % interval (t). Where a method must help the lower bound must be above 0; where it need not, above one point lost.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
from scipy.stats import t

from tasks.steady import steady
from tests.bench import helps
from tests.bench.helps import Case


def main() -> int:
    """Measure, print, judge."""
    methods = sorted(module.name for module in iter_modules(helps.__path__) if module.name != "__main__")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    asked = parser.parse_args()
    leads: dict[str, dict[str, dict[str, float]]] = {}
    met: dict[str, bool] = {}
    for method in asked.methods:
        cases: dict[str, Case] = import_module(f"{helps.__name__}.{method}").CASES
        for name, case in cases.items():
            key = f"{method}.{name}"
            leads[key] = led(key, case, range(asked.seeds))
            met[key] = all(lead["low"] > case.bar for lead in leads[key].values())
    print(json.dumps({"leads": leads, "met": met}, sort_keys=True))
    return 0 if all(met.values()) else 1


def led(key: str, case: Case, seeds: range) -> dict[str, dict[str, float]]:
    """Setting -> its lead over the setting without the method."""
    scores = case.scores(seeds)
    for setting, reached in scores.items():
        print(f"{key}: {setting} {np.mean(reached):.3f}", flush=True)
    return {setting: lead(scores[setting], scores[case.without]) for setting in case.settings}


def lead(reached: Sequence[float], without: Sequence[float]) -> dict[str, float]:
    """Mean paired difference with its interval."""
    differences = np.subtract(reached, without)
    half = float(t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences)))
    mean = float(differences.mean())
    return {"value": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


if __name__ == "__main__":
    with steady(1):
        sys.exit(main())
