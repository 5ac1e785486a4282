"""Score all candidates on the test set, with intervals: `python -m tasks.evaluate`."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.calibration import all_tempered, tempered
from tasks.errors import ContractBroken
from tasks.evaluate import missing
from tasks.evaluate.alike import alike
from tasks.evaluate.calibrated import calibrated
from tasks.evaluate.interaction import interaction
from tasks.evaluate.label_next import SCHEMA, asked_for, label_next
from tasks.evaluate.missing import mapped, means, recalls
from tasks.evaluate.neighbours import neighbours, read_taught
from tasks.evaluate.pictures import draw_confusion, draw_labels, draw_reliability, draw_scores, draw_shares, draw_values
from tasks.evaluate.scores import Judged, Sureness, report
from tasks.evaluate.shares import asked, shares_of_answers, shares_of_score
from tasks.evaluate.space import look
from tasks.features import Features
from tasks.files import new_folder, read_json, write_json
from tasks.intervals import interval
from tasks.measures import clipped, constant
from tasks.params import Params, load
from tasks.paths import MANIFEST, REPORTS, candidate_folders, finetuned
from tasks.slices import slices
from tasks.stage import count, enter
from tasks.steady import steady
from tasks.tables import answer_columns, labelled, truth, without, write_parquet
from tasks.targets import METRICS, Output
from tasks.train.candidates import Candidate, load_candidate
from tasks.train.domains import Domains
from tasks.train.inputs import Inputs, aligned, chosen, present, read_inputs, read_outputs, read_samples_of
from tasks.train.neural import Answers, Neural


def evaluate() -> None:
    """Write data/6_reports/evaluate/: scores.json; predictions, label_next and neighbours.parquet; and pictures.

    scores.png, shares.png, reliability.png and clusters.png show what is selected, the first beside the others, and a picture
    each what it answers.

    A target's is confusion.png, labels.png of several labels or predicted.png of a regression; of another target than the
    gate's it has the name in front, <target>-confusion.png, and its scores stand under `others`.

    Raises:
        NoData: a candidate or features are absent.
        ContractBroken: no test sample is labelled in the deciding target.
    """
    params = load()
    target, metric = params.gate.target, params.gate.metric
    choice = read_json(REPORTS / "select.json")
    selected = choice["selected"]
    outputs, test = read_outputs(), read_inputs(params.modalities, "test")
    if not labelled(test.labels(target)).any():
        raise ContractBroken(f"no sample of split test is labelled in {target}: raise split.test in params.yaml")
    folders = candidate_folders(params.modalities, params.fusions, params.train.finetune)
    with steady(params.threads):
        raw, parameters = predicted(test, folders)
        warmth = {name: choice["candidates"][name]["temperature"] for name in raw}
        answers = {name: all_tempered(answer, outputs, warmth[name]) for name, answer in raw.items()}
        candidate, features = understood(test, folders[selected])
        subsets = asked(lambda some: all_tempered(candidate.predict(some), outputs, warmth[selected]), features, target)
    sure = Sureness(params.evaluate.bootstrap, params.evaluate.confidence, params.seed)
    complete = np.logical_and.reduce([present(body) for body in test.features.values()])
    judged = {name: judged_of(name, output, test, answers, parameters) for name, output in outputs.items()}
    with new_folder(REPORTS / "evaluate") as folder:
        known = labelled(judged[target].truth)
        deciding = judged[target].where(known)
        scores = report(deciding, complete[known], selected, metric, sure)
        with steady(params.threads):
            scores["alike"] = alike(deciding, test.features, np.flatnonzero(known), sure)
        scores["interaction"] = joined(deciding.where(complete[known]), choice, params, sure)
        scores["calibration"] = calibrated(deciding, selected, raw[selected][target][known], choice, target, sure)
        if scores["calibration"]:
            draw_reliability(folder / "reliability.png", scores["calibration"], selected)
        scores["slices"] = apart(deciding, test.samples.filter(pa.array(known)), params, selected, sure)
        scores["shares"] = subsets and shares_of_score(subsets, judged[target], metric, sure)
        if subsets and isinstance(candidate, Neural):
            for m, weights in candidate.weights(features).items():
                there = present(features[m])
                scores["shares"]["modalities"][m]["weight"] = float(weights[there].mean()) if there.any() else None
        if subsets:
            draw_shares(folder / "shares.png", scores["shares"], selected, metric)
        if fill := mapped(candidate_folders(params.modalities, params.fusions, ())):
            with steady(params.threads):
                scores["missing"] = {
                    name: filled(candidate, Domains.load(folders[name], candidate.card), test, judged[target], params, sure)
                    for name, candidate in fill.items()
                }
        draw(folder, "", target, deciding, selected)
        with steady(params.threads):
            ids, places = test.samples["sample_id"].filter(pa.array(known)).to_pylist(), candidate.fused(features)[known]
            scores["clusters"] = look(folder, deciding, selected, ids, places, sure)
            taught = read_taught(params, folders[selected], candidate)  # after intervals, which hold most memory
        write_parquet(folder / "neighbours.parquet", neighbours(deciding, selected, ids, places, taught))
        draw_scores(folder / "scores.png", scores, selected, metric)
        others = {name: other(folder, name, judged[name], complete, selected, sure) for name in outputs if name != target}
        found = {"target": target, "metric": metric, "selected": selected, **scores} | ({"others": others} if others else {})
        write_json(folder / "scores.json", found)
        each = shares_of_answers(subsets, outputs[target]) if subsets else {}
        rest = {without(target, m): subsets.answers[subsets.whole - {m}] for m in subsets.modalities} if subsets else {}
        write_parquet(folder / "predictions.parquet", predictions(test, answers[selected], complete, each, rest))
        with steady(params.threads):
            doubted = unlabelled(params, folders, selected, outputs, warmth[selected])
        write_parquet(folder / "label_next.parquet", doubted)
    count(predicted=len(test) * len(answers))


def unlabelled(
    params: Params, folders: Mapping[str, Path], selected: str, outputs: Mapping[str, Output], warmth: Mapping[str, float]
) -> pa.Table:
    """The samples most worth a label (see `label_next`); none where encoders were fitted with the model."""
    target, samples = params.gate.target, asked_for(pq.read_table(MANIFEST / "samples.parquet"))
    asked = {name: folder for name, folder in folders.items() if not (folder / "features").is_dir()}
    if not samples.num_rows or selected not in asked:
        return SCHEMA.empty_table()
    inputs = Inputs(samples, {m: aligned(m, samples) for m in sorted(params.modalities)})
    wanted = asked if outputs[target].is_number else {selected: asked[selected]}
    found = {name: answer[target] for name, answer in predicted(inputs, wanted)[0].items()}
    return label_next(samples, tempered(found[selected], outputs[target], warmth.get(target, 1.0)), found, outputs[target])


def apart(judged: Judged, samples: pa.Table, params: Params, selected: str, sure: Sureness) -> list[dict[str, Any]]:
    """Scores of the selected candidate in every slice of two groups or more, the worst first."""
    gate, found = params.gate, []
    for name, rows in slices(samples, params.validate.slices, gate.target, judged.output, gate.metric).items():
        part = judged.where(rows)
        if part.sizes["groups"] >= 2:
            bounds = interval(part.tally(gate.metric, selected), sure.generator("slices"), sure.draws, sure.tail)
            found.append({"slice": name, **part.sizes, "score": clipped(bounds, gate.metric).as_json()})
    return sorted(found, key=lambda row: (row["score"]["value"], row["slice"]))


def filled(candidate: Neural, domains: Domains, test: Inputs, judged: Judged, params: Params, sure: Sureness) -> dict[str, Any]:
    """What one candidate's maps are worth (see missing.py), and in how many test samples it fills which modality."""
    found: dict[str, Any] = {"mapping": candidate.card.settings["mapping"], "recall": {}, "filled": {}, "without": {}}
    if candidate.network.filling is None:
        return found
    filling = candidate.network.filling
    test = domains.adapted(test)
    for split, inputs in {"val": domains.adapted(read_inputs(params.modalities, "val")), "test": test}.items():
        vectors, there = means(candidate, inputs.features)
        found["recall"][split] = recalls(filling, vectors, there, sure)
        found["filled"] = {m: int(rows.sum()) for m, rows in filling(vectors, there)[1].items()}  # of the last one, test
    whole = labelled(judged.truth) & np.logical_and.reduce([present(body) for body in test.features.values()])
    if len(np.unique(judged.groups[whole])) > 1:
        features = {m: chosen(body, np.flatnonzero(whole)) for m, body in test.features.items()}
        found["without"] = missing.without(
            candidate, judged.where(whole), params.gate.target, features, params.gate.metric, sure
        )
    return found


def other(
    folder: Path, target: str, judged: Judged, complete: npt.NDArray[np.bool_], selected: str, sure: Sureness
) -> dict[str, Any]:
    """Scores of a target that decides nothing, and its picture; no candidates where fewer than two groups are labelled."""
    known, metric = labelled(judged.truth), METRICS[judged.output.type][0]
    judged = judged.where(known)
    if judged.sizes["groups"] < 2:
        return {"metric": metric, **judged.sizes, "candidates": {}}
    draw(folder, f"{target}-", target, judged, selected)
    return {"metric": metric, **report(judged, complete[known], selected, metric, sure)}


def judged_of(
    target: str, output: Output, test: Inputs, answers: Mapping[str, Answers], parameters: Mapping[str, int]
) -> Judged:
    """What every candidate says about one target, beside the truth, of all test samples."""
    told = {name: answer[target] for name, answer in answers.items()}
    return Judged(test.labels(target), np.array(test.samples["group"].to_pylist(), object), told, parameters, output)


def draw(folder: Path, prefix: str, target: str, judged: Judged, selected: str) -> None:
    """Draw what the selected candidate says against the truth."""
    true, said = judged.truth, judged.predicted(selected)
    if judged.output.is_number:
        draw_values(folder / f"{prefix}predicted.png", target, true, said)
    elif judged.output.is_set:
        draw_labels(folder / f"{prefix}labels.png", true, said, judged.output.classes)
    else:
        draw_confusion(folder / f"{prefix}confusion.png", true, said, judged.output.classes)


def predicted(test: Inputs, folders: Mapping[str, Path]) -> tuple[dict[str, Answers], dict[str, int]]:
    """Answers and number of parameters by candidate."""
    answers, parameters = {}, {}
    for name, folder in folders.items():
        candidate, features = understood(test, folder)
        answers[name], parameters[name] = candidate.predict(features), candidate.card.parameters
    return answers, parameters


def understood(test: Inputs, folder: Path) -> tuple[Candidate, dict[str, Features]]:
    """A candidate, and the test set's features as it takes them."""
    candidate = load_candidate(folder)
    return candidate, Domains.load(folder, candidate.card).normalised(test.by_own_encoders(folder).features, test.domain)


def joined(cases: Judged, choice: Mapping[str, Any], params: Params, sure: Sureness) -> dict[str, Any] | None:
    """What fusing makes of these complete cases (see `interaction`), and how the encoders were fitted."""
    end_to_end = [finetuned(fusion) for fusion in params.train.finetune]
    joint = {name: choice["candidates"][name]["score"] for name in (*params.fusions, *end_to_end)}
    blind = constant(truth(read_samples_of(["train"])[choice["target"]]))
    found = interaction(cases, joint, blind, choice["metric"], sure)
    return found and {**found, "objective": params.pretrain.objective, "end_to_end": end_to_end}


def predictions(
    test: Inputs,
    answer: Answers,
    complete: npt.NDArray[np.bool_],
    shares: Mapping[str, npt.NDArray[np.float64]],
    rest: Answers,
) -> pa.Table:
    """The selected candidate's answers for every test sample, with truth and group, and each modality's share in the answer.

    `rest` are the answers without each modality, named by `tables.without`.
    """
    columns = {name: test.samples[name].combine_chunks() for name in ("sample_id", "group", *answer)}
    columns["complete"] = pa.array(complete)
    for target, values in answer.items():
        columns |= answer_columns(target, values)
    for name, values in rest.items():
        columns |= answer_columns(name, values)
    columns |= {f"share of {m}": pa.array(values) for m, values in shares.items()}
    return pa.table(columns)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(evaluate)
