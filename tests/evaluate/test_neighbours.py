"""The train samples beside wrong answers: against brute force, and a planted wrong label that the stage finds."""

import contextlib
import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.erase.find import YES, Wanted, tells
from tasks.evaluate.__main__ import evaluate
from tasks.evaluate.neighbours import FAR_OFF, LOOKED, MOST, NEAREST, SCHEMA, Taught, neighbours, read_taught, wrong
from tasks.evaluate.scores import Judged
from tasks.features import Features, read_features, read_sample_ids, write_features
from tasks.files import folder_digest, read_json
from tasks.params import load
from tasks.paths import FEATURES, MANIFEST, REPORTS
from tasks.select.__main__ import select
from tasks.tables import write_parquet
from tasks.targets import Output
from tasks.train.__main__ import train
from tasks.train.candidates import load_candidate
from tasks.train.inputs import few, read_few
from tests.planted import plant

OUT = REPORTS / "evaluate/neighbours.parquet"
SAMPLES = MANIFEST / "samples.parquet"
OUTPUTS = {
    "classification": Output("classification", ("cat", "dog", "elk")),
    "multilabel": Output("multilabel", ("a", "b", "c")),
    "regression": Output("regression"),
}


def case(kind, samples=60, learned=90, seed=0):
    """Random samples of which about two in five are answered wrong, with where they lie, and as many train samples again."""
    rng, output = np.random.default_rng(seed), OUTPUTS[kind]

    def labels(n):
        if output.is_number:
            return rng.normal(50, 10, n)
        return rng.integers(0, 2, (n, 3)) if output.is_set else rng.integers(0, 3, n)

    answers = rng.normal(50, 10, (samples, 1)) if output.is_number else rng.random((samples, 3))
    names = [f"t{i:03d}" for i in rng.permutation(samples)]
    judged = Judged(labels(samples), np.array(names, object), {"mean": answers}, {"mean": 1}, output)
    taught = Taught([f"l{i:03d}" for i in rng.permutation(learned)], rng.normal(size=(learned, 4)), labels(learned))
    return judged, names, rng.normal(size=(samples, 4)), taught


@pytest.mark.parametrize("kind", OUTPUTS)
def test_neighbours_are_those_of_brute_force(kind):
    judged, names, places, taught = case(kind)
    found = neighbours(judged, "mean", names, places, taught).to_pylist()
    said, output = judged.predicted("mean"), judged.output

    def words(value):
        if output.is_number:
            return f"{value:.6g}"
        if output.is_set:
            return "|".join(c for c, holds in zip("abc", value, strict=True) if holds) or "|"
        return output.classes[value]

    assert [row["rank"] for row in found] == [1, 2, 3] * (len(found) // 3)
    for row in found:
        at = names.index(row["sample_id"])
        distances = np.sqrt(((taught.places - places[at]) ** 2).sum(axis=1))
        near = np.argsort(distances)[row["rank"] - 1]
        assert (row["neighbour"], row["label"]) == (taught.names[near], words(taught.truth[near]))
        assert row["distance"] == pytest.approx(distances[near])
        assert (row["truth"], row["says"]) == (words(judged.truth[at]), words(said[at]))
    listed = [row["sample_id"] for row in found][::NEAREST]
    if output.is_number:
        off = np.abs(said - judged.truth)
        assert listed == [names[row] for row in np.argsort(-off)[: int(np.ceil(FAR_OFF * len(names)))]]
        assert {row["sure"] for row in found} == {None}
    else:
        assert set(listed) == {names[row] for row in np.flatnonzero((said != judged.truth).reshape(len(names), -1).any(axis=1))}
        sure = [row["sure"] for row in found]
        assert sure == sorted(sure, reverse=True)
        first, answer = found[0], judged.answers["mean"][names.index(found[0]["sample_id"])]
        told = np.maximum(answer, 1 - answer).mean() if output.is_set else answer.max()
        assert first["sure"] == pytest.approx(told)


def test_no_more_are_told_than_can_be_looked_at_and_none_where_nothing_is_wrong_or_known():
    judged, names, places, taught = case("classification", samples=300)
    found = neighbours(judged, "mean", names, places, taught)
    assert found.num_rows == MOST * NEAREST
    two = Taught(taught.names[:2], taught.places[:2], taught.truth[:2])
    assert set(neighbours(judged, "mean", names, places, two)["rank"].to_pylist()) == {1, 2}
    right = Judged(judged.predicted("mean"), judged.groups, judged.answers, {"mean": 1}, judged.output)
    for nothing in (neighbours(right, "mean", names, places, taught), neighbours(judged, "mean", names, places, None)):
        assert (nothing.num_rows, nothing.schema) == (0, SCHEMA)
    exact = np.array([1.0, 2.0])
    numbers = Judged(exact, np.array(["g", "h"], object), {"mean": exact[:, None]}, {"mean": 1}, Output("regression"))
    assert not wrong(numbers, "mean").any()


def test_the_order_of_samples_does_not_matter():
    judged, names, places, taught = case("classification")
    taught.places[:4] = taught.places[4]  # as far as each other
    wanted = neighbours(judged, "mean", names, places, taught)
    order, other = np.random.default_rng(1).permutation(60), np.random.default_rng(2).permutation(90)
    turned = Judged(judged.truth[order], judged.groups[order], {"mean": judged.answers["mean"][order]}, {}, judged.output)
    learned = Taught([taught.names[row] for row in other], taught.places[other], taught.truth[other])
    assert neighbours(turned, "mean", [names[row] for row in order], places[order], learned) == wanted


def test_a_neighbour_that_is_erased_is_found_in_the_table(tmp_path):
    judged, names, places, taught = case("classification")
    table = neighbours(judged, "mean", names, places, taught)
    write_parquet(tmp_path / "neighbours.parquet", table)
    content = (tmp_path / "neighbours.parquet").read_bytes()
    for sample in (table["sample_id"][0].as_py(), table["neighbour"][5].as_py()):
        assert tells(io.BytesIO(content), len(content), Wanted(frozenset({sample}))) == YES
    assert tells(io.BytesIO(content), len(content), Wanted(frozenset({"l"}))) != YES


def test_the_choice_of_train_samples_is_hardly_another_one_the_next_night():
    ids = [f"s{i:04d}" for i in range(1000)]
    tonight = {ids[row] for row in few(ids, 100)}
    assert len(tonight) == 100
    assert {ids[::-1][row] for row in few(ids[::-1], 100)} == tonight
    more = [*ids, *(f"n{i}" for i in range(50))]
    assert len(tonight & {more[row] for row in few(more, 100)}) > 85
    assert few(ids, 1000).tolist() == list(range(1000))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        plant(epochs=6, strength=0.25)  # some are answered wrong
        for name in ("concat", "mean", "plain"):
            train(name)
        select()
    return folder


@pytest.fixture
def night(tmp_path, monkeypatch, fitted):
    shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def rewrite(sample, other):
    """Give one sample the features of another in every modality."""
    found = {}
    for path in sorted(FEATURES.glob("*/*.safetensors")):
        body, ids = read_features(path), read_sample_ids(path)
        found |= {(path.parent.name, name): body.tokens[row].copy() for row, name in enumerate(ids)}
    for path in sorted(FEATURES.glob("*/*.safetensors")):
        body, ids = read_features(path), read_sample_ids(path)
        if sample in ids:
            tokens = body.tokens.copy()
            tokens[ids.index(sample)] = found[path.parent.name, other]
            write_features(path, Features(tokens, body.mask, body.time), "0" * 32, ids)


@pytest.mark.usefixtures("night")
def test_a_train_sample_with_a_wrong_label_beside_a_test_sample_is_its_first_neighbour():
    evaluate()
    table = pq.read_table(SAMPLES).to_pandas()
    whole = table[table[["has_audio", "has_image", "has_text"]].all(axis=1)]
    odd = next(row for row in pq.read_table(OUT).to_pylist() if row["sample_id"] in set(whole["sample_id"]))
    planted = whole.loc[whole["split"] == "train", "sample_id"].iloc[7]
    rewrite(planted, odd["sample_id"])
    label = ("cat", "dog", "elk", "fox").index(odd["says"])
    table.loc[table["sample_id"] == planted, "label"] = label
    write_parquet(SAMPLES, pa.Table.from_pandas(table, schema=pq.read_schema(SAMPLES), preserve_index=False))
    evaluate()
    found = [row for row in pq.read_table(OUT).to_pylist() if row["sample_id"] == odd["sample_id"]]
    assert (found[0]["neighbour"], found[0]["label"], found[0]["rank"]) == (planted, odd["says"], 1)
    assert found[0]["distance"] < 1e-3 < found[1]["distance"]
    train_ids = set(table.loc[table["split"] == "train", "sample_id"])
    assert set(pq.read_table(OUT)["neighbour"].to_pylist()) <= train_ids
    predictions = pq.read_table(OUT.with_name("predictions.parquet")).to_pandas().set_index("sample_id")
    said = predictions[[f"label__{i}" for i in range(4)]].to_numpy().argmax(axis=1)
    assert set(pq.read_table(OUT)["sample_id"].to_pylist()) == set(predictions.index[said != predictions["label"]])


@pytest.mark.usefixtures("night")
def test_the_stage_finds_clusters_and_names_no_sample_in_json():
    evaluate()
    first, scores = folder_digest(OUT.parent), read_json(OUT.with_name("scores.json"))
    found = scores["clusters"]
    assert sum(part["samples"] for part in found["parts"]) == scores["samples"]
    assert found["whole"] == pytest.approx(scores["candidates"][scores["selected"]]["accuracy"]["value"])
    assert OUT.with_name("clusters.png").is_file()
    text = OUT.with_name("scores.json").read_text()
    assert not [name for name in pq.read_table(SAMPLES)["sample_id"].to_pylist() if name in text]
    evaluate()
    assert folder_digest(OUT.parent) == first


@pytest.mark.usefixtures("night")
def test_train_samples_are_labelled_few_and_none_where_encoders_were_fitted_with_the_model():
    table = pq.read_table(SAMPLES)
    labels = [None if row % 3 == 0 else label for row, label in enumerate(table["label"].to_pylist())]
    write_parquet(SAMPLES, table.set_column(table.column_names.index("label"), "label", [pa.array(labels, pa.int64())]))
    known = {
        name
        for name, split, label in zip(table["sample_id"].to_pylist(), table["split"].to_pylist(), labels, strict=True)
        if split == "train" and label is not None
    }
    params, folder = load(), Path("data/5_models/candidates/mean")
    candidate = load_candidate(folder)
    found = read_taught(params, folder, candidate)
    assert (set(found.names), len(found.names) < LOOKED) == (known, True)
    some = read_few(params.modalities, "train", "label", 10)
    assert len(some) == 10
    ids = some.samples["sample_id"].to_pylist()
    rows = [found.names.index(name) for name in ids]
    np.testing.assert_allclose(candidate.fused(some.features), found.places[rows], atol=1e-5)
    np.testing.assert_array_equal(some.labels("label"), found.truth[rows])
    (folder / "features/audio").mkdir(parents=True)
    assert read_taught(params, folder, candidate) is None
