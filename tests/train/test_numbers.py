"""Targets that are numbers, beside classes: what candidates learn of them, in their own unit, and what they answer."""

import contextlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import load_file
from scipy.stats import norm
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from tasks.errors import ContractBroken
from tasks.features import Features
from tasks.files import folder_digest, read_json, write_json
from tasks.params import PARAMS
from tasks.paths import CANDIDATES, MANIFEST
from tasks.tables import labelled, read_answer, write_parquet
from tasks.targets import Output
from tasks.train.__main__ import train
from tasks.train.candidates import load_candidate
from tasks.train.inputs import read_inputs
from tasks.train.late import _committee
from tests.planted import plant

MODALITIES = ("audio", "image", "text")
PLAIN = CANDIDATES / "plain"
SAMPLES = MANIFEST / "samples.parquet"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        plant(numbers=True)
        for name in ("mean", "plain"):
            train(name)
    return folder


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, fitted):
    shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def explained(folder, split="test"):
    inputs = read_inputs(MODALITIES, split)
    truth = inputs.labels("size")
    known = labelled(truth)
    return r2_score(truth[known], load_candidate(folder).predict(inputs.features)["size"][known, 0])


def test_both_targets_are_learned_and_fusing_beats_each_modality_alone():
    alone = max(explained(PLAIN / f"alone-{m}") for m in MODALITIES)
    for folder in (CANDIDATES / "mean", PLAIN / "late", PLAIN / "logistic"):
        assert explained(folder) > alone + 0.05
        inputs = read_inputs(MODALITIES, "test")
        truth = inputs.labels("label")
        said = load_candidate(folder).predict(inputs.features)["label"].argmax(1)
        assert (said == truth)[labelled(truth)].mean() > 0.5


def test_the_statistics_are_those_of_the_labelled_train_rows():
    train_rows = read_inputs(MODALITIES, "train").labels("size")
    known = train_rows[labelled(train_rows)]
    wanted = {"size": {"mean": pytest.approx(known.mean()), "deviation": pytest.approx(known.std())}}
    for folder in (CANDIDATES / "mean", PLAIN / "logistic"):
        card = read_json(folder / "candidate.json")
        assert card["settings"]["statistics"] == wanted
        assert card["targets"]["size"] == {"type": "regression", "classes": []}


def test_ridge_regression_is_sklearns_on_complete_cases():
    plant(missing=0.0, numbers=True, epochs=1)
    train("plain")
    strength = read_json(PLAIN / "logistic/candidate.json")["settings"]["strength"]["size"]
    fitting, test = read_inputs(MODALITIES, "train"), read_inputs(MODALITIES, "test")
    pooled = [np.concatenate([x.features[m].tokens.mean(1) for m in MODALITIES], 1) for x in (fitting, test)]
    mean, scale = pooled[0].mean(0), pooled[0].std(0)
    y = fitting.labels("size")
    known = labelled(y)
    centre, spread = y[known].mean(), y[known].std()
    oracle = Ridge(alpha=1 / strength).fit(((pooled[0] - mean) / scale)[known], (y[known] - centre) / spread)
    wanted = oracle.predict((pooled[1] - mean) / scale) * spread + centre
    found = load_candidate(PLAIN / "logistic").predict(test.features)["size"][:, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_late_multiplies_normal_distributions_relative_to_the_prior():
    features = read_inputs(MODALITIES, "test").features
    cards = {m: read_json(PLAIN / f"alone-{m}/candidate.json")["settings"]["statistics"]["size"] for m in MODALITIES}
    trust = {m: body["size"] for m, body in read_json(PLAIN / "late/candidate.json")["settings"]["trust"].items()}
    alone = {m: load_candidate(PLAIN / f"alone-{m}").predict(features)["size"][:, 0] for m in MODALITIES}
    alone = {m: cards[m]["mean"] + trust[m]["slope"] * (alone[m] - cards[m]["mean"]) for m in MODALITIES}
    late = load_candidate(PLAIN / "late").predict(features)["size"][:, 0]
    grid = np.linspace(0, 100, 20001)
    for row in range(0, len(late), 3):
        there = [m for m in MODALITIES if features[m].mask[row].any()]
        prior = {m: norm.logpdf(grid, cards[m]["mean"], cards[m]["deviation"]) for m in there}
        density = np.mean([prior[m] for m in there], axis=0)
        density += sum(norm.logpdf(grid, alone[m][row], trust[m]["error"]) - prior[m] for m in there)
        power = np.exp(density - density.max())
        assert late[row] == pytest.approx((grid * power).sum() / power.sum(), abs=0.01)


def test_the_trust_of_late_is_the_best_slope_on_validation_samples_that_have_the_modality():
    val = read_inputs(MODALITIES, "val")
    truth = val.labels("size")
    for m, found in read_json(PLAIN / "late/candidate.json")["settings"]["trust"].items():
        known = labelled(truth) & val.features[m].mask.any(axis=1)
        part = load_candidate(PLAIN / f"alone-{m}")
        mean = part.card.settings["statistics"]["size"]["mean"]
        said = part.predict(val.features)["size"][known] - mean
        (best,), residues, *_ = np.linalg.lstsq(said, truth[known] - mean)
        assert found["size"]["slope"] == pytest.approx(np.clip(best, 1e-12, 1))
        if best < 1:
            assert found["size"]["error"] == pytest.approx(np.sqrt(residues[0] / known.sum()))


def test_no_validation_samples_own_value_tells_how_far_late_is_trusted_on_it():
    late, val = load_candidate(PLAIN / "late"), read_inputs(MODALITIES, "val")
    before = late.held_out(val)["size"][:, 0]
    groups = np.array(val.samples["group"].to_pylist())
    ours, sizes = groups == groups[0], val.labels("size")
    column = pa.array(np.where(ours, sizes + 1000, sizes), pa.float64(), mask=~labelled(sizes))
    place = val.samples.column_names.index("size")
    after = late.held_out(replace(val, samples=val.samples.set_column(place, "size", column)))["size"][:, 0]
    assert ours.sum() < len(ours)
    np.testing.assert_array_equal(after[ours], before[ours])
    assert (after != before).any()
    scores = pq.read_table(PLAIN / "late/scores.parquet")
    np.testing.assert_array_equal(read_answer(scores, "size", late.card.outputs["size"])[:, 0], before)
    label = read_answer(scores, "label", late.card.outputs["label"])
    np.testing.assert_array_equal(label, late.predict(val.features)["label"])


def test_a_modality_that_knows_nothing_has_no_say_in_late():
    mean, deviation, error = (np.full((2, 1), of) for of in (50.0, 10.0, 4.0))
    error[1], there = 10.0, np.ones((2, 3))
    told = np.array([[40.0, 55.0, 70.0], [50.0, 50.0, 50.0]])  # a slope of 0 has drawn the second to the mean
    np.testing.assert_allclose(_committee(told, mean, deviation, error, there)[:, 0], told[0])


def test_a_sample_with_nothing_gets_the_mean():
    nothing = {"audio": Features(np.zeros((2, 1, 12), np.float32), np.zeros((2, 1), bool), np.zeros((2, 1), np.float32))}
    for folder in (CANDIDATES / "mean", PLAIN / "late"):
        mean = read_json(PLAIN / "alone-audio/candidate.json")["settings"]["statistics"]["size"]["mean"]
        assert load_candidate(folder).predict(nothing)["size"] == pytest.approx(mean, abs=1.0)


def change(column, values):
    table = pq.read_table(SAMPLES)
    write_parquet(SAMPLES, table.set_column(table.column_names.index(column), column, pa.array(values, table[column].type)))


def test_another_unit_changes_the_answers_by_that_alone():
    plant(samples=120, numbers=True, epochs=2)
    train("plain")
    test = read_inputs(MODALITIES, "test")
    before = {name: load_candidate(PLAIN / name).predict(test.features)["size"] for name in ("alone-audio", "late", "logistic")}
    change("size", [None if v is None else 1e6 + 1000 * v for v in pq.read_table(SAMPLES)["size"].to_pylist()])
    train("plain")
    for name, answer in before.items():
        after = load_candidate(PLAIN / name).predict(test.features)["size"]
        np.testing.assert_allclose((after - 1e6) / 1000, answer, rtol=1e-3)


def test_what_is_unlabelled_has_no_say_and_scores_hold_values():
    first = folder_digest(CANDIDATES / "mean")
    train("mean")
    assert folder_digest(CANDIDATES / "mean") == first
    scores, val = pq.read_table(CANDIDATES / "mean/scores.parquet"), read_inputs(MODALITIES, "val")
    found = load_candidate(CANDIDATES / "mean").predict(val.features)["size"]
    np.testing.assert_array_equal(read_answer(scores, "size", Output("regression")), found)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_target_that_is_labelled_nowhere_is_told(split):
    table = pq.read_table(SAMPLES)
    pairs = zip(table["size"].to_pylist(), table["split"].to_pylist(), strict=True)
    change("size", [None if where == split else value for value, where in pairs])
    with pytest.raises(ContractBroken, match=f"mean: no sample of split {split} is labelled in size"):
        train("mean")


def test_huber_is_not_pulled_away_by_outliers():
    table = pq.read_table(SAMPLES)
    rows = enumerate(zip(table["size"].to_pylist(), table["split"].to_pylist(), strict=True))
    change("size", [v and v + (900 if number % 20 == 0 and where == "train" else 0) for number, (v, where) in rows])
    found = {}
    for loss in ("mse", "huber"):
        params = yaml.safe_load(PARAMS.read_text())
        params["targets"]["size"]["loss"] = loss
        PARAMS.write_text(yaml.safe_dump(params))
        train("mean")
        test = read_inputs(MODALITIES, "test")
        truth = test.labels("size")
        error = load_candidate(CANDIDATES / "mean").predict(test.features)["size"][:, 0] - truth
        found[loss] = np.abs(error[labelled(truth)]).mean()
    assert found["huber"] < 0.8 * found["mse"]


def edit(path, change):
    card = json.loads(path.read_text())
    change(card)
    write_json(path, card)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("mean", lambda card: card["settings"].pop("statistics"), "settings of a network"),
        ("mean", lambda card: card["settings"]["statistics"]["size"].update(deviation=0.0), "settings of a network"),
        ("mean", lambda card: card["settings"]["statistics"]["size"].update(mean="50"), "settings of a network"),
        ("mean", lambda card: card["targets"]["size"].update(classes=["a"]), "targets must be names"),
        ("mean", lambda card: card["targets"]["size"].update(type="ranking"), "targets must be names"),
        ("plain/logistic", lambda card: card["settings"]["statistics"].pop("size"), "settings of a logistic regression"),
        (
            "plain/late",
            lambda card: card["settings"]["trust"]["audio"]["size"].update(error=0.0),
            "hold slope and error of size",
        ),
        ("plain/late", lambda card: card["settings"].pop("trust"), "must hold slope and error of size"),
    ],
)
def test_a_card_without_sound_statistics_is_refused(name, change, says):
    edit(CANDIDATES / name / "candidate.json", change)
    with pytest.raises(ContractBroken, match=says):
        load_candidate(CANDIDATES / name)


def test_weights_hold_no_unit():
    weights = load_file(PLAIN / "logistic/weights.safetensors")
    assert weights["size.weight"].shape == (1, 39)
    assert abs(weights["size.bias"]).max() < 1
