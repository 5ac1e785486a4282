"""What objectives without labels are worth: `python -m tests.bench.objectives` prints a line of JSON, exit 1 below the bar.

Frozen encoders, one head for all (logistic regression), five seeds, leads over supervised encoders with 95 % intervals:

    interaction    planted: two pictures, the label says whether their bars differ; must help
    plain          planted: one picture, the label is its bar's; at most a point is lost
    few            handwritten digits, 40 with a label, 1,157 without; told
    digits         handwritten digits, all with a label; told: what is lost where labels abound
"""

import argparse
import json
import sys

import numpy as np
from scipy.stats import t
from sklearn.datasets import load_digits

from tasks.pretrain.objectives import OBJECTIVES
from tasks.steady import steady
from tests.pretrain.bars import encoder, interaction, plain, score

LOWEST = {"interaction": 0.0, "plain": -0.01}  # that the lower bound of a lead must be above
TEST, FEW, EPOCHS = 600, 40, 15


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    asked = parser.parse_args()
    leads = {case: led(case, range(asked.seeds)) for case in asked.cases}
    met = {case: all(lead["low"] > LOWEST[case] for lead in leads[case].values()) for case in leads if case in LOWEST}
    print(json.dumps({"leads_over_supervised": leads, "met": met}, sort_keys=True))
    return 0 if all(met.values()) else 1


def led(case: str, seeds: range) -> dict[str, dict[str, float]]:
    """Per objective the mean over seeds of its accuracy above that with supervised encoders, with its interval (t)."""
    scores = {}
    for objective in sorted(OBJECTIVES):
        scores[objective] = np.array([CASES[case](objective, seed) for seed in seeds])
        print(f"{case}: {objective} {scores[objective].mean():.3f}", flush=True)
    supervised, found = scores.pop("supervised"), {}
    for objective, reached in scores.items():
        lead = reached - supervised
        half = float(t.ppf(0.975, len(lead) - 1) * lead.std(ddof=1) / np.sqrt(len(lead)))
        mean = float(lead.mean())
        found[objective] = {"value": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}
    return found


def few(objective: str, seed: int) -> float:
    """The head, and supervised encoders, know `FEW` labels."""
    return _digits(objective, seed, slice(TEST, TEST + FEW))


def digits(objective: str, seed: int) -> float:
    """All labels are known."""
    return _digits(objective, seed, slice(TEST, None))


CASES = {"interaction": interaction, "plain": plain, "few": few, "digits": digits}


def _digits(objective: str, seed: int, known: slice) -> float:
    """Accuracy on `TEST` pictures, twice as large as scikit-learn's."""
    pixels, truth = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(truth))
    large = (pixels[order].reshape(-1, 8, 8, 1) * 15.9).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    pictures, truth = list(large), truth[order].astype(np.int64)
    seen = known if objective == "supervised" else slice(TEST, None)
    watched = None if objective == "supervised" else np.arange(len(pictures[seen])) % 10 == 0
    encode = encoder(objective, pictures[seen], truth[seen], seed, "digit", watched, epochs=EPOCHS)
    return score(encode(pictures[known]), truth[known], encode(pictures[:TEST]), truth[:TEST])


if __name__ == "__main__":
    with steady(1):
        sys.exit(main())
