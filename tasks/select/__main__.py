"""Choose the simplest candidate that is as good as the best, and bundle it: `python -m tasks.select`."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.calibration import temperature
from tasks.errors import ContractBroken, NoData
from tasks.files import read_json, write_json
from tasks.measures import said, tally
from tasks.params import Params, load
from tasks.paths import BUNDLE, CANDIDATES, MANIFEST, REPORTS, candidate_folders
from tasks.select.assemble import assemble
from tasks.select.rule import RULE, Judged, choose
from tasks.stage import count, enter
from tasks.tables import read_answer, truth
from tasks.targets import Output, outputs


def select() -> None:
    """Write data/5_models/bundle/ and data/6_reports/select.json.

    Raises:
        NoData: a candidate is absent.
        ContractBroken: no validation sample is labelled in the deciding target, or scores are of other samples.
    """
    params = load()
    target, metric = params.gate.target, params.gate.metric
    folders = fitted_folders(params)
    cards = {name: read_json(folder / "candidate.json") for name, folder in folders.items()}
    val, aside = labelled_validation(target), set_aside()
    judged = {name: judge(folder, cards[name], val, target, metric) for name, folder in folders.items()}
    selected, standing = choose(judged, max(params.gate.margin, 0.0) / 2)
    temperatures = {name: fitted_temperatures(folder, cards[name], aside) for name, folder in folders.items()}
    assemble(folders[selected], cards[selected], params, temperatures[selected], BUNDLE)
    rows = {
        name: {
            "score": choice.score,
            "se_of_difference": choice.se_of_difference,
            "parameters": judged[name].parameters,
            "eligible": choice.eligible,
            "temperature": temperatures[name],
        }
        for name, choice in standing.items()
    }
    report = {"selected": selected, "rule": RULE, "target": target, "metric": metric, "samples": val.num_rows}
    report |= {"calibrated_on": {"samples": aside.num_rows, "groups": len(aside["group"].unique())}}
    write_json(REPORTS / "select.json", {**report, "candidates": rows})
    print(f"selected {selected}: {standing[selected].score:.3f} on {val.num_rows} validation samples", flush=True)
    count(candidates=len(judged))


def fitted_folders(params: Params) -> dict[str, Path]:
    """Name -> folder of every candidate of this night.

    Raises:
        NoData: a fusion of params.yaml or a plain candidate has not been fitted.
    """
    folders = candidate_folders(params.modalities, params.fusions, params.train.finetune)
    absent = [name for name, folder in folders.items() if not (folder / "candidate.json").is_file()]
    if absent:
        raise NoData(f"{CANDIDATES} has no candidate {', '.join(absent)}: `dvc pull`, or `dvc repro` its train stage")
    return folders


def labelled_validation(target: str) -> pa.Table:
    """Validation samples that are labelled in the target, sorted by sample_id."""
    table = samples_of("val")
    val = table.filter(pc.is_valid(table[target]))
    if not val.num_rows:
        path = MANIFEST / "samples.parquet"
        raise ContractBroken(f"{path}: no sample of split val is labelled in {target}: raise split.val in params.yaml")
    return val


def set_aside() -> pa.Table:
    """The samples that temperatures alone are fitted to, sorted by sample_id; none where `split.calibration` left none."""
    return samples_of("calibration")


def samples_of(split: str) -> pa.Table:
    """Rows of the manifest, sorted by sample_id."""
    path = MANIFEST / "samples.parquet"
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro validate`")
    table = pq.read_table(path)
    return table.filter(pc.equal(table["split"], split)).sort_by("sample_id")


def judge(folder: Path, card: dict[str, Any], val: pa.Table, target: str, metric: str) -> Judged:
    """Score one candidate by what it predicted for the validation samples.

    Raises:
        ContractBroken: its scores.parquet lacks a sample or a class, or holds NaN.
    """
    output = outputs(card["targets"])[target]
    answer = answered(folder, val, target, output)
    groups = np.array(val["group"].to_pylist(), object)
    sums = tally(metric, truth(val[target]), said(metric, answer, output), groups, len(output.classes))
    return Judged(card["kind"], card["parameters"], sums)


def fitted_temperatures(folder: Path, card: dict[str, Any], aside: pa.Table) -> dict[str, float]:
    """Per target with classes the temperature that makes one candidate's probabilities true on samples that were set aside."""
    found = {target: output for target, output in outputs(card["targets"]).items() if not output.is_number}
    if not aside.num_rows:
        return dict.fromkeys(found, 1.0)
    return {t: temperature(truth(aside[t]), answered(folder, aside, t, output), output) for t, output in found.items()}


def answered(folder: Path, samples: pa.Table, target: str, output: Output) -> npt.NDArray[np.float64]:
    """What one candidate predicted for these samples, float64 [n, width].

    Raises:
        ContractBroken: its scores.parquet lacks a sample or a class, or holds NaN.
    """
    path = folder / "scores.parquet"
    scores = pq.read_table(path)
    place = {name: row for row, name in enumerate(scores["sample_id"].to_pylist())}
    ids = samples["sample_id"].to_pylist()
    lost = [name for name in ids if name not in place]
    if lost:
        raise ContractBroken(f"{path} lacks {len(lost)} validation samples, e.g. {lost[0]!r}: refit it")
    answer = read_answer(scores, target, output)[[place[name] for name in ids]]
    if not np.isfinite(answer).all():
        raise ContractBroken(f"{path} holds NaN or infinity in {target}: refit the candidate")
    return answer


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(select)
