"""Damage raw inputs of some test samples by degrees, and score the selected model: `python -m tasks.robustness`."""

import argparse
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.bundle import Bundle
from tasks.evaluate.scores import Sureness
from tasks.files import new_folder, write_json
from tasks.params import Params, load
from tasks.paths import BUNDLE, REPORTS
from tasks.robustness.answers import Answers, answers, baseline, with_other_encoders
from tasks.robustness.losses import Cases, losses
from tasks.robustness.pictures import draw_curves
from tasks.robustness.subset import chosen_samples
from tasks.robustness.sweep import swept
from tasks.stage import count, enter
from tasks.steady import steady
from tasks.tables import truth
from tasks.train.inputs import read_outputs


def robustness() -> None:
    """Write data/6_reports/robustness/: robustness.json, and robustness.png where there is something to show.

    Raises:
        NoData: the bundle, features, the manifest or raw partitions are absent.
        ContractBroken: the bundle is damaged.
    """
    params = load()
    bundle = Bundle.load(BUNDLE)
    levels = [0.0, *params.robustness.levels]
    found: dict[str, Any] = {"target": params.gate.target, "metric": params.gate.metric, "levels": levels}
    found |= {"selected": bundle.candidate.card.name, "samples": 0, "groups": 0, "modalities": {}}
    encoded = 0
    if params.robustness.samples:
        samples = chosen_samples(list(bundle.modalities), params.gate.target, params.robustness.samples)
        cases = cases_of(samples, params)
        found |= {"samples": len(cases.truth), "groups": len(set(cases.groups))}
        if found["groups"] > 1:  # else nothing says how sure a loss is
            with steady(params.threads):
                mine, late, encoded = told(bundle, samples, params)
            found |= losses(cases, mine, late)
    with new_folder(REPORTS / "robustness") as folder:
        write_json(folder / "robustness.json", found)
        if found["modalities"]:
            draw_curves(folder / "robustness.png", found)
    count(encoded=encoded)


def cases_of(samples: pa.Table, params: Params) -> Cases:
    """What answers to these samples are held against."""
    target = params.gate.target
    return Cases(
        truth=truth(samples[target]),
        groups=np.array(samples["group"].to_pylist(), object),
        output=read_outputs()[target],
        metric=params.gate.metric,
        levels=[0.0, *params.robustness.levels],
        sure=Sureness(params.evaluate.bootstrap, params.evaluate.confidence, params.seed),
        tail=1 - params.gate.confidence,
    )


def told(bundle: Bundle, samples: pa.Table, params: Params) -> tuple[Answers, Answers | None, int]:
    """What the selected model and late fusion answer, and how many raw rows were encoded for it."""
    target, levels = params.gate.target, params.robustness.levels
    features = {}
    for m in bundle.modalities:
        features[m] = swept(bundle, m, samples, levels, params.seed)
        print(f"{m}: {samples.num_rows} samples, damaged in {len(features[m]) - 1} ways", flush=True)
    mine, late, theirs = answers(bundle, features, samples, target), baseline(bundle), dict(features)
    rows = sum(len(of) for of in features.values()) * samples.num_rows
    if late is None:
        return mine, None, rows
    for m in with_other_encoders(bundle.modalities):
        theirs[m] = swept(late, m, samples, levels, params.seed)
        rows += len(theirs[m]) * samples.num_rows
    return mine, answers(late, theirs, samples, target), rows


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(robustness)
