"""Several labels at once: read from cells, learned, scored against sklearn, judged, drawn and bundled."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import accuracy_score, f1_score

import tasks.bundle
from tasks.bundle import Bundle
from tasks.champion.__main__ import champion
from tasks.errors import WrongValue
from tasks.evaluate.__main__ import evaluate
from tasks.features import read_features
from tasks.files import read_json, write_json
from tasks.gate.__main__ import gate
from tasks.intervals import interval, standard_error
from tasks.measures import tally
from tasks.params import PARAMS
from tasks.paths import ANCHOR, BUNDLE, CANDIDATES, CHAMPION, FEATURES, MANIFEST, REPORTS
from tasks.robustness.__main__ import robustness
from tasks.select.__main__ import select
from tasks.tables import UNLABELLED, labelled, truth, write_parquet
from tasks.targets import Output, read_target
from tasks.train.__main__ import train
from tasks.train.candidates import load_candidate
from tasks.train.inputs import read_inputs
from tasks.train.late import SURE
from tests.planted import Decoder, plant

OUTPUT = Output("multilabel", ("claws", "paws"))
SAMPLES = MANIFEST / "samples.parquet"
MODALITIES = ("audio", "image", "text")


@pytest.mark.parametrize("metric", ["macro_f1", "weighted_f1"])
def test_where_no_label_holds_or_is_answered_the_score_is_0(metric):
    rng = np.random.default_rng(0)
    truth_of, said = np.zeros((240, 2), np.int64), np.zeros((240, 2), np.int64)
    truth_of[:2], said[:1] = 1, 1  # most resamples of the groups have none of it
    groups = np.array([f"g{i}" for i in range(240)], object)
    found = interval(tally(metric, truth_of, said, groups, 2), rng, 500, 0.025)
    assert found.value == pytest.approx(f1_score(truth_of, said, average="macro"))
    assert 0 == found.low < found.value <= found.high <= 1
    nothing = tally(metric, truth_of[2:], said[2:], groups[2:], 2)
    assert nothing.value == f1_score(truth_of[2:], said[2:], average="macro", zero_division=0) == 0
    assert standard_error(nothing) == 0


@pytest.mark.parametrize(
    ("cell", "problem", "numbered"),
    [
        ("paws", "", [0, 1]),
        (" paws | claws|", "", [1, 1]),
        ("|", "", [0, 0]),
        ("paws|tail", "label holds 'tail', which is none of its classes (claws, paws)", None),
    ],
)
def test_a_cell_names_any_number_of_labels(cell, problem, numbered):
    assert (OUTPUT.problem("label", cell), OUTPUT.numbered(cell)) == (problem, numbered)


def test_a_name_that_holds_the_separator_is_refused():
    with pytest.raises(WrongValue, match=r"targets.label.classes: no name may hold '\|'"):
        read_target("label", {"type": "multilabel", "classes": ["a|b"]})


def test_a_column_is_read_back_and_tells_what_is_empty():
    column = pa.chunked_array([pa.array([[0, 1], None, [1, 1]], pa.list_(pa.int8()))])
    np.testing.assert_array_equal(truth(column), [[0, 1], [UNLABELLED] * 2, [1, 1]])
    assert labelled(truth(column)).tolist() == [True, False, True]


@pytest.mark.parametrize(("metric", "average"), [("macro_f1", "macro"), ("weighted_f1", "weighted"), ("accuracy", None)])
def test_scores_are_those_of_sklearn(metric, average):
    rng = np.random.default_rng(0)
    true, said = rng.integers(0, 2, (2, 200, 3))
    groups = np.array([f"g{i % 10}" for i in range(200)], object)

    def oracle(rows):
        return f1_score(true[rows], said[rows], average=average) if average else accuracy_score(true[rows], said[rows])

    found = tally(metric, true, said, groups, 3)
    assert found.value == pytest.approx(oracle(slice(None)))
    left = np.array([oracle(groups != name) for name in np.unique(groups)])
    assert standard_error(found) == pytest.approx(np.sqrt(9 / 10 * ((left - left.mean()) ** 2).sum()))


@pytest.fixture
def night(tmp_path, monkeypatch):
    """Cat and dog have paws, dog and elk have claws, some are unlabelled."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tasks.bundle, "load_encoder", Decoder)
    plant(epochs=8)
    table = pq.read_table(SAMPLES)
    labels = [None if i % 9 == 0 else [int(c in (1, 2)), int(c in (0, 1))] for i, c in enumerate(table["label"].to_pylist())]
    column = pa.array(labels, pa.list_(pa.int8()))
    write_parquet(SAMPLES, table.set_column(table.column_names.index("label"), "label", column))
    write_json(MANIFEST / "manifest.json", {"targets": {"label": OUTPUT.as_json()}})
    params = yaml.safe_load(PARAMS.read_text())
    PARAMS.write_text(
        yaml.safe_dump(params | {"targets": {"label": {"type": "multilabel"}}, "gate": {"floor": 0.6}, "fusions": ["mean"]})
    )
    write_json(Path("data/1_raw.json"), {"batches": []})
    write_json(
        Path("data/registry.json"), {who: {"number": 0, "version": None, "batches": []} for who in ("champion", "anchor")}
    )
    for folder in (CHAMPION, ANCHOR):
        folder.mkdir(parents=True)
    for name in ("mean", "plain"):
        train(name)


@pytest.mark.usefixtures("night")
def test_a_night_of_labels():
    test = read_inputs(MODALITIES, "test")
    true = test.labels("label")
    known = labelled(true)
    plain = CANDIDATES / "plain"
    answers = {name: load_candidate(plain / name).predict(test.features)["label"] for name in ("late", "logistic")}
    answers |= {f"alone-{m}": load_candidate(plain / f"alone-{m}").predict(test.features)["label"] for m in MODALITIES}
    scores = {name: f1_score(true[known], said[known] >= 0.5, average="macro") for name, said in answers.items()}
    assert min(scores["late"], scores["logistic"]) > max(scores[f"alone-{m}"] for m in MODALITIES)
    prior = {m: read_json(plain / f"alone-{m}/candidate.json")["settings"]["prior"]["label"] for m in MODALITIES}
    row = next(i for i in range(len(true)) if all(test.features[m].mask[i].any() for m in MODALITIES))
    yes = np.exp(np.mean([np.log(prior[m]) for m in MODALITIES], axis=0))
    no = np.exp(np.mean([np.log1p(-np.array(prior[m])) for m in MODALITIES], axis=0))
    for m in MODALITIES:
        said = np.clip(answers[f"alone-{m}"][row], SURE, 1 - SURE)
        yes, no = yes * said / prior[m], no * (1 - said) / (1 - np.array(prior[m]))
    np.testing.assert_allclose(answers["late"][row], yes / (yes + no), rtol=1e-3)

    select()
    evaluate()
    champion()
    robustness()
    gate()
    found, verdict = read_json(REPORTS / "evaluate/scores.json"), read_json(REPORTS / "verdict.json")
    said = load_candidate(BUNDLE / "fusion").predict(test.features)["label"] >= 0.5
    assert found["metric"] == "macro_f1"
    scored = found["candidates"][found["selected"]]
    assert scored["macro_f1"]["value"] == pytest.approx(f1_score(true[known], said[known], average="macro"))
    assert scored["accuracy"]["value"] == pytest.approx(accuracy_score(true[known], said[known]))
    assert verdict["verdict"] == "promote"
    assert (REPORTS / "evaluate/labels.png").is_file()
    rows = {row["name"]: row for row in verdict["rows"]}
    taught = read_inputs(MODALITIES, "train").labels("label")
    most = taught[labelled(taught)].mean(axis=0) > 0.5
    always = np.tile(most, (known.sum(), 1))
    gain = scored["macro_f1"]["value"] - f1_score(true[known], always, average="macro", zero_division=0)
    assert rows["floor_over_prior"]["measured"] == pytest.approx(gain)
    features = read_features(FEATURES / "image/2026-11-01-aaaaaaaa-000.safetensors")
    answer = Bundle.load(BUNDLE).predict_raw({"image": [tokens.tobytes() for tokens in features.tokens]})["label"]
    assert answer.shape == (len(features.tokens), 2)
    assert ((answer > 0) & (answer < 1)).all()
