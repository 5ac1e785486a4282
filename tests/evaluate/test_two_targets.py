"""A night with two targets, a class and a number: selected, scored, drawn, bundled and predicted again."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

from tasks.bundle import Bundle
from tasks.champion.__main__ import champion
from tasks.evaluate.__main__ import evaluate
from tasks.features import read_features
from tasks.files import folder_digest, read_json, write_json
from tasks.gate.__main__ import gate
from tasks.params import PARAMS
from tasks.paths import ANCHOR, BUNDLE, CHAMPION, FEATURES, MANIFEST, REPORTS
from tasks.robustness.__main__ import robustness
from tasks.select.__main__ import select
from tasks.tables import write_parquet
from tasks.targets import Output
from tasks.train.__main__ import train
from tests.planted import enter_copy, plant

OUT = REPORTS / "evaluate"
SAMPLES = MANIFEST / "samples.parquet"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The number decides; all is done but the verdict."""
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        plant(samples=180, epochs=6, numbers=True)
        judge_by("size")
        for name in ("concat", "mean", "plain"):
            train(name)
        write_json(Path("data/1_raw.json"), {"batches": []})
        write_json(
            Path("data/registry.json"), {who: {"number": 0, "version": None, "batches": []} for who in ("champion", "anchor")}
        )
        for empty in (CHAMPION, ANCHOR):
            empty.mkdir(parents=True)
        select()
        evaluate()
        champion()
    return folder


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, fitted):
    enter_copy(fitted, tmp_path, monkeypatch)


def judge_by(target, **knobs):
    params = yaml.safe_load(PARAMS.read_text())
    params["gate"] = {"target": target, **knobs}
    PARAMS.write_text(yaml.safe_dump(params))


def scored(target):
    """Truth and what the selected candidate said of the labelled test samples, from predictions.parquet."""
    table = pq.read_table(OUT / "predictions.parquet").to_pandas()
    table = table[table[target].notna()]
    columns = sorted(name for name in table if name.startswith(f"{target}__"))
    return table[target].to_numpy(), table[columns].to_numpy()


def test_every_target_is_scored_by_the_metrics_of_its_type():
    scores = read_json(OUT / "scores.json")
    truth, answer = scored("size")
    found = scores["candidates"][scores["selected"]]
    assert (scores["target"], scores["metric"], scores["samples"]) == ("size", "r2", len(truth))
    assert found["r2"]["value"] == pytest.approx(r2_score(truth, answer[:, 0]))
    assert found["neg_mean_absolute_error"]["value"] == pytest.approx(-mean_absolute_error(truth, answer[:, 0]))
    assert found["r2"]["low"] < found["r2"]["value"] < found["r2"]["high"] <= 1
    found_error = found["neg_mean_absolute_error"]["value"]
    truth, answer = scored("label")
    label = scores["others"]["label"]
    found = label["candidates"][scores["selected"]]
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(truth, answer.argmax(1)))
    assert (label["metric"], label["samples"]) == ("accuracy", len(truth))
    assert label["complete"]["gain_over_best_single"]["single"].startswith("alone-")
    drawn = {"predicted.png", "label-confusion.png", "scores.png", "shares.png", "clusters.png"}
    assert {path.name for path in OUT.glob("*.png")} == drawn
    assert scores["clusters"]["whole"] == found_error
    first = folder_digest(OUT)
    evaluate()
    assert folder_digest(OUT) == first


def test_another_target_that_cannot_be_scored_is_left_open():
    table = pq.read_table(SAMPLES)
    rows = zip(table["label"].to_pylist(), table["split"].to_pylist(), strict=True)
    labels = pa.array([None if split == "test" else label for label, split in rows], pa.int64())
    write_parquet(SAMPLES, table.set_column(table.column_names.index("label"), "label", labels))
    evaluate()
    assert read_json(OUT / "scores.json")["others"] == {
        "label": {"metric": "accuracy", "samples": 0, "groups": 0, "candidates": {}}
    }


def verdict():
    robustness()
    gate()
    found = read_json(REPORTS / "verdict.json")
    return found, {row["name"]: row for row in found["rows"]}


def test_a_number_is_judged_against_always_answering_the_mean():
    found, rows = verdict()
    assert (found["verdict"], found["decided_by"]) == ("promote", "floor")
    truth, answer = scored("size")
    samples = pq.read_table(SAMPLES).to_pandas()
    mean = samples.loc[samples["split"] == "train", "size"].mean()
    prior = r2_score(truth, np.full(len(truth), mean))
    assert rows["floor_over_prior"]["measured"] == pytest.approx(r2_score(truth, answer[:, 0]) - prior)
    assert f"of always answering {mean:.6g} on" in rows["floor_over_prior"]["reason"]
    assert rows["floor"]["needed"] is None
    assert "gate.floor is not set" in rows["floor"]["reason"]


def test_an_error_counts_in_the_targets_own_unit():
    judge_by("size", metric="neg_mean_absolute_error", margin=0.5, floor_over_prior=1.0, floor=-1.0)
    write_json(OUT / "scores.json", {**read_json(OUT / "scores.json"), "metric": "neg_mean_absolute_error"})
    found, rows = verdict()
    truth, answer = scored("size")
    assert rows["floor"]["measured"] == pytest.approx(-mean_absolute_error(truth, answer[:, 0]))
    assert (found["verdict"], found["decided_by"], rows["floor_over_prior"]["verdict"]) == ("reject", "floor", "pass")


def test_the_champion_is_compared_on_the_same_values():
    for folder in (CHAMPION, ANCHOR):
        shutil.rmtree(folder)
        shutil.copytree(BUNDLE, folder)
    batches = sorted(set(pq.read_table(MANIFEST / "samples.parquet")["batch"].to_pylist()))
    reigning = {"number": 1, "version": "v1.0.0", "batches": batches}
    write_json(Path("data/registry.json"), {"champion": reigning, "anchor": reigning})
    champion()
    _, rows = verdict()
    assert (rows["champion"]["verdict"], rows["champion"]["measured"], rows["anchor"]["verdict"]) == ("pass", 0, "pass")
    path = OUT / "predictions.parquet"
    table = pq.read_table(path)
    worse = pa.array(table["size__0"].to_numpy() + 25.0)
    write_parquet(path, table.set_column(table.column_names.index("size__0"), "size__0", worse))
    _, rows = verdict()
    assert rows["champion"]["verdict"] == rows["anchor"]["verdict"] == "fail"


def test_a_champion_whose_target_had_another_type_does_not_answer_it():
    shutil.rmtree(CHAMPION)
    shutil.copytree(BUNDLE, CHAMPION)
    targets = {"label": {"type": "regression", "classes": []}, "size": {"type": "regression", "classes": []}}
    write_json(MANIFEST / "manifest.json", {"targets": targets})
    champion()
    table = pq.read_table(REPORTS / "champion.parquet")
    assert table["label__0"].null_count == table.num_rows > 0
    assert table["size__0"].null_count == 0


@pytest.mark.parametrize("name", ["logistic", "late", "mean"])
def test_a_bundle_answers_values_from_raw_inputs(name):
    from tasks.params import load
    from tasks.select.assemble import assemble

    folder = Path("data/5_models/candidates", name if name == "mean" else f"plain/{name}")
    assemble(folder, read_json(folder / "candidate.json"), load(), {}, BUNDLE)
    bundle = Bundle.load(BUNDLE)
    features = read_features(FEATURES / "image/2026-11-01-aaaaaaaa-000.safetensors")
    found = bundle.predict_raw({"image": [tokens.tobytes() for tokens in features.tokens]})
    assert {target: answer.shape[1] for target, answer in found.items()} == {"label": 4, "size": 1}
    np.testing.assert_array_equal(found["size"], bundle.predict({"image": features})["size"])
    assert bundle.targets["size"] == Output("regression")
    assert 20 < found["size"].mean() < 80
