"""Score all candidates on the test set, with intervals: `python -m tasks.evaluate`."""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.errors import ContractBroken
from tasks.evaluate.pictures import draw_confusion, draw_scores
from tasks.evaluate.scores import Judged, Sureness, report
from tasks.files import new_folder, read_json, write_json
from tasks.params import load
from tasks.paths import CANDIDATES, REPORTS
from tasks.stage import count, enter
from tasks.steady import steady
from tasks.tables import probability_columns, write_parquet
from tasks.train import load_candidate
from tasks.train.inputs import UNLABELLED, Inputs, present, read_classes, read_inputs
from tasks.train.neural import Probabilities


def evaluate() -> None:
    """Write data/6_reports/evaluate/: scores.json, predictions.parquet, confusion.png, scores.png.

    Raises:
        NoData: a candidate or features are absent.
        ContractBroken: no test sample is labelled in the deciding target.
    """
    params = load()
    target, metric = params.gate.target or next(iter(params.targets)), params.gate.metric
    selected = read_json(REPORTS / "select.json")["selected"]
    classes, test = read_classes(), read_inputs(params.modalities, "test")
    labels = test.labels(target)
    judgeable = labels != UNLABELLED
    if not judgeable.any():
        raise ContractBroken(f"no sample of split test is labelled in {target}: raise split.test in params.yaml")
    with steady(params.threads):
        answers, parameters = predicted(test, candidate_folders(tuple(params.modalities), params.fusions))
    groups = np.array(test.samples["group"].to_pylist(), object)
    guesses = {name: answer[target].argmax(axis=1) for name, answer in answers.items()}
    judged = Judged(labels, groups, guesses, parameters, len(classes[target])).where(judgeable)
    sure = Sureness(params.evaluate.bootstrap, params.evaluate.confidence, params.seed)
    complete = np.logical_and.reduce([present(body) for body in test.features.values()])
    scores = report(judged, complete[judgeable], selected, metric, sure)
    with new_folder(REPORTS / "evaluate") as folder:
        write_json(folder / "scores.json", {"target": target, "metric": metric, "selected": selected, **scores})
        write_parquet(folder / "predictions.parquet", predictions(test, answers[selected], complete))
        draw_confusion(folder / "confusion.png", judged.truth, judged.predicted[selected], classes[target])
        draw_scores(folder / "scores.png", scores, selected, metric)
    count(predicted=len(test) * len(answers))


def candidate_folders(modalities: tuple[str, ...], fusions: tuple[str, ...]) -> dict[str, Path]:
    """Name -> folder of every candidate of this night."""
    plain = [*(f"alone-{m}" for m in modalities), "late", "logistic"]
    return {name: CANDIDATES / "plain" / name for name in plain} | {name: CANDIDATES / name for name in fusions}


def predicted(test: Inputs, folders: dict[str, Path]) -> tuple[dict[str, Probabilities], dict[str, int]]:
    """Probabilities and number of parameters by candidate."""
    answers, parameters = {}, {}
    for name, folder in folders.items():
        candidate = load_candidate(folder)
        answers[name], parameters[name] = candidate.predict(test.features), candidate.card.parameters
    return answers, parameters


def predictions(test: Inputs, answer: Probabilities, complete: npt.NDArray[np.bool_]) -> pa.Table:
    """The selected candidate's probabilities of every test sample, with truth and group."""
    columns = {name: test.samples[name].combine_chunks() for name in ("sample_id", "group", *answer)}
    columns["complete"] = pa.array(complete)
    for target, probabilities in answer.items():
        columns |= probability_columns(target, probabilities)
    return pa.table(columns)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(evaluate)
