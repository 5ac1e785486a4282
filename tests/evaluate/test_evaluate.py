"""Scores on the test split against sklearn, paired gains, pictures with the same bytes twice."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from tasks.errors import ContractBroken
from tasks.evaluate.__main__ import evaluate
from tasks.evaluate.pictures import draw_confusion
from tasks.evaluate.scores import Judged, Sureness, report
from tasks.files import folder_digest, read_json
from tasks.paths import REPORTS
from tasks.select.__main__ import select
from tasks.tables import read_answer, write_parquet
from tasks.targets import Output
from tasks.train.__main__ import train
from tests.planted import plant

OUT = REPORTS / "evaluate"
OUTPUT = Output("classification", ("cat", "dog", "elk", "fox"))
CANDIDATES = {"alone-audio", "alone-image", "alone-text", "late", "logistic", "concat", "mean"}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        plant(epochs=8)
        for name in ("concat", "mean", "plain"):
            train(name)
        select()
    return folder


@pytest.fixture
def night(tmp_path, monkeypatch, fitted):
    shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("night")
def test_scores_and_predictions_are_of_the_test_split():
    evaluate()
    scores, table = read_json(OUT / "scores.json"), pq.read_table(OUT / "predictions.parquet")
    samples = pq.read_table("data/3_manifest/samples.parquet").to_pandas().set_index("sample_id")
    test = samples[samples["split"] == "test"].sort_index()
    assert table["sample_id"].to_pylist() == list(test.index)
    assert table["complete"].to_pylist() == list(test[["has_audio", "has_image", "has_text"]].all(axis=1))
    predicted = read_answer(table, "label", OUTPUT).argmax(1)
    found = scores["candidates"][scores["selected"]]
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(test["label"], predicted))
    assert found["macro_f1"]["value"] == pytest.approx(f1_score(test["label"], predicted, average="macro"))
    without = {m: read_answer(table, f"label without {m}", OUTPUT) for m in ("audio", "image", "text")}
    shares = scores["shares"]["modalities"]
    for m, rest in without.items():
        gone = accuracy_score(test["label"], rest.argmax(1))
        assert shares[m]["lost"]["value"] == pytest.approx(found["accuracy"]["value"] - gone)
    one_hot, answer = np.eye(4)[test["label"]], read_answer(table, "label", OUTPUT)
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(one_hot, answer), abs=1e-9)
    assert found["auprc"]["value"] == pytest.approx(average_precision_score(one_hot, answer), abs=1e-9)
    assert set(scores["candidates"]) == set(scores["complete"]["candidates"]) == CANDIDATES
    assert (scores["samples"], scores["groups"]) == (len(test), test["group"].nunique())
    for row in scores["candidates"].values():
        assert 0 <= row["accuracy"]["low"] <= row["accuracy"]["value"] <= row["accuracy"]["high"] <= 1


@pytest.mark.usefixtures("night")
def test_pairs_of_modalities_and_the_best_fusion_are_looked_at():
    evaluate()
    scores = read_json(OUT / "scores.json")
    assert [pair["pair"] for pair in scores["alike"]] == [["audio", "image"], ["audio", "text"], ["image", "text"]]
    assert max(pair["cka"] for pair in scores["alike"]) < 0.3  # planted: independent, but for the class
    found, validated = scores["interaction"], read_json(REPORTS / "select.json")["candidates"]
    assert found["joint"] == max(("concat", "mean"), key=lambda name: validated[name]["score"])
    assert found["objective"] == "supervised"
    assert found["over_prior"][found["joint"]]["low"] > 0


@pytest.mark.usefixtures("night")
def test_the_reports_are_the_same_bytes_twice():
    evaluate()
    first = folder_digest(OUT)
    evaluate()
    assert folder_digest(OUT) == first
    assert (OUT / "scores.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("night")
def test_unlabelled_test_samples_are_predicted_and_not_scored():
    path = Path("data/3_manifest/samples.parquet")
    table = pq.read_table(path)
    test = [row for row, split in enumerate(table["split"].to_pylist()) if split == "test"]
    labels = table["label"].to_pylist()
    labels[test[0]] = None
    write_parquet(path, table.set_column(table.column_names.index("label"), "label", [labels]))
    evaluate()
    assert pq.read_table(OUT / "predictions.parquet").num_rows == len(test)
    assert read_json(OUT / "scores.json")["samples"] == len(test) - 1
    for row in test:
        labels[row] = None
    write_parquet(path, table.set_column(table.column_names.index("label"), "label", [labels]))
    with pytest.raises(ContractBroken, match="no sample of split test is labelled in label"):
        evaluate()


@pytest.mark.usefixtures("night")
def test_a_night_can_be_decided_by_an_area_under_a_curve():
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("metric: accuracy", "metric: auprc"))
    select()
    evaluate()
    scores, choice = read_json(OUT / "scores.json"), read_json(REPORTS / "select.json")
    assert scores["metric"] == choice["metric"] == "auprc"
    best = max(row["score"] for row in choice["candidates"].values())
    assert choice["candidates"][choice["selected"]]["score"] > 0.5
    assert all(row["se_of_difference"] > 0 for row in choice["candidates"].values() if row["score"] < best)
    assert scores["complete"]["gain_over_best_single"]["low"] > 0
    assert scores["interaction"]["over_prior"]["alone-image"]["low"] > 0  # over a quarter, what a constant answer scores


@pytest.mark.usefixtures("night")
def test_an_empty_test_split_is_told():
    path = Path("data/3_manifest/samples.parquet")
    table = pq.read_table(path)
    write_parquet(path, table.filter([split != "test" for split in table["split"].to_pylist()]))
    with pytest.raises(ContractBroken, match="no sample in split test"):
        evaluate()
    assert not OUT.exists()


def hand_made(errors, n=60):
    truth = np.arange(n) % 2
    answers = {name: np.eye(2)[np.where(np.arange(n) < wrong, 1 - truth, truth)] for name, wrong in errors.items()}
    return Judged(
        truth, np.arange(n).astype(object), answers, dict.fromkeys(errors, 1), Output("classification", ("no", "yes"))
    )


def test_the_gain_is_over_the_best_single_modality_of_complete_cases():
    judged = hand_made({"mean": 6, "alone-a": 18, "alone-b": 12, "late": 0})
    complete = np.arange(60) >= 6  # there, mean is right everywhere, alone-b wrong on 6 of 54
    found = report(judged, complete, "mean", "accuracy", Sureness(500, 0.95, 0))
    gain = found["complete"]["gain_over_best_single"]
    assert gain["single"] == "alone-b"
    assert gain["value"] == pytest.approx(6 / 54)
    assert 0 < gain["low"] < gain["value"] < gain["high"]
    mean = found["complete"]["candidates"]["mean"]["accuracy"]
    assert (mean["value"], mean["high"]) == (1.0, 1.0)
    assert mean["low"] < 0.95  # that none of so few was wrong is no proof that none ever is


def test_without_complete_cases_nothing_is_claimed():
    found = report(hand_made({"mean": 6, "alone-a": 18}), np.zeros(60, bool), "mean", "accuracy", Sureness(100, 0.95, 0))
    assert found["complete"] == {"samples": 0, "groups": 0, "candidates": {}, "gain_over_best_single": None}
    assert found["samples"] == 60


def test_a_name_between_two_dollars_is_no_formula(tmp_path):
    truth = np.array([0, 1, 1])
    for number, names in enumerate([("$1_$2", "a$%b$"), ("$10-$20", "b"), ("10-20", "b")]):
        draw_confusion(tmp_path / f"{number}.png", truth, truth, names)
    assert (tmp_path / "1.png").read_bytes() != (tmp_path / "2.png").read_bytes()
