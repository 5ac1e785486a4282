"""Score the selected model on raw inputs of some test samples, damaged by degrees: `python -m tasks.robustness`."""

import argparse
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.bundle import Bundle
from tasks.damage.probe import read_probe
from tasks.evaluate.scores import Sureness
from tasks.files import new_folder, write_json
from tasks.params import Params, load
from tasks.paths import BUNDLE, REPORTS
from tasks.robustness.answers import Answers, answers, baseline
from tasks.robustness.features import by_its_own, by_tonights
from tasks.robustness.losses import Cases, losses
from tasks.robustness.pictures import draw_curves
from tasks.robustness.reads import with_other_encoders
from tasks.stage import count, enter
from tasks.steady import steady
from tasks.tables import labelled, truth
from tasks.train.inputs import read_outputs, read_samples_of


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
        samples = probed(params.gate.target)
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
    target, levels, kinds = params.gate.target, params.robustness.levels, bundle.kinds
    mine, rows, late = {}, 0, baseline(bundle)
    others = with_other_encoders(bundle.modalities)
    theirs = {m: by_tonights(m, kinds[m], samples, levels) for m in bundle.modalities if late or m not in others}
    for m in others:
        mine[m], encoded = by_its_own(m, samples, params)
        rows += encoded
    answer = answers(bundle, {**theirs, **mine}, samples, target)
    return answer, None if late is None else answers(late, theirs, samples, target), rows


def probed(target: str) -> pa.Table:
    """The probe's samples that are labelled in a target: rows of the manifest, sorted by sample_id."""
    keys = read_probe().samples
    samples = read_samples_of(["test"])
    own = zip(samples["batch"].to_pylist(), samples["sample_id"].to_pylist(), strict=True)
    judged = labelled(truth(samples[target]))
    return samples.filter(pa.array([key in keys and bool(is_) for key, is_ in zip(own, judged, strict=True)], pa.bool_()))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(robustness)
