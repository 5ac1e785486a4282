"""The stage on raw inputs with a planted truth: an answer is explained by the tone, at its pitch, and by no picture."""

import contextlib
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import logit

from tasks.bundle import Bundle
from tasks.damage import kind_module as opener
from tasks.erase.find import YES, Wanted, tells
from tasks.errors import NoData
from tasks.explain import kind_module
from tasks.explain.__main__ import explain
from tasks.explain.among import ENOUGH, newest, read_by
from tasks.explain.audio import BANDS, MOMENTS, _bands
from tasks.explain.reads import reads
from tasks.explain.worth import randomised
from tasks.extract import options_of
from tasks.features import read_features, write_features
from tasks.files import folder_digest, read_json
from tasks.index import Partition, read_index, write_index
from tasks.params import load
from tasks.paths import BUNDLE, CANDIDATES, FEATURES, MANIFEST, RAW, REPORTS
from tasks.select.assemble import assemble
from tasks.tables import write_parquet
from tasks.train.__main__ import train
from tasks.train.inputs import chosen, read_samples_of
from tests.robustness.night import encoded, land, write_params

OUT = REPORTS / "explain"
HZ = {"low": 500.0, "high": 1500.0}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        land(240)
        write_params()
        encoded()
        for name in ("mean", "plain"):
            train(name)
        select("mean")
        explain()
    return folder


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, fitted):
    shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def select(name):
    folder = CANDIDATES / (name if name == "mean" else f"plain/{name}")
    shutil.rmtree(BUNDLE, ignore_errors=True)
    assemble(folder, read_json(folder / "candidate.json"), load(), {}, BUNDLE)


def again():
    shutil.rmtree(OUT, ignore_errors=True)
    explain()
    return read_json(OUT / "explain.json"), pq.read_table(OUT / "examples.parquet").to_pylist()


def test_what_explains_an_answer_is_the_tone_at_its_pitch():
    found, rows = read_json(OUT / "explain.json"), pq.read_table(OUT / "examples.parquet").to_pylist()
    assert (found["target"], found["selected"], found["right"] + found["wrong"]) == ("label", "mean", len(rows))
    assert len(rows) == 6
    own = {name: int(_bands(np.array([hz]), 8000)[0]) for name, hz in HZ.items()}
    assert own["low"] != own["high"]
    for row in (row for row in rows if row["right"]):
        by_band = np.array(row["worth of audio"]).reshape(MOMENTS, BANDS).sum(axis=0)
        assert by_band.argmax() == own[row["says"]]
        if row["worth of image"] is not None:
            assert np.abs(np.sum(row["worth of image"])) < np.sum(row["worth of audio"])
    audio = found["modalities"]["audio"]
    assert audio["area"]["largest"] > 1.5 * audio["area"]["random"] > 0
    assert audio["area"]["random"] > audio["area"]["smallest"]
    assert audio["itself"] > 0.6
    assert abs(audio["randomised"]) < 0.5 * audio["itself"]
    assert len(found["share"]) == len(audio["lost"]["largest"]) == 11


def test_parts_add_up_to_what_the_sound_does_to_the_answer():
    bundle, row = Bundle.load(BUNDLE), pq.read_table(OUT / "examples.parquet").to_pylist()[0]
    raw = {m: [raw_of(m, row["sample_id"])] for m in bundle.modalities}
    said = bundle.predict_raw(raw)["label"][0]
    assert said.max() == pytest.approx(row["sure"])
    assert bundle.targets["label"].classes[int(said.argmax())] == row["says"]
    card, how = bundle.encoders["audio"].card, opener("audio")
    thing = how.read(raw["audio"][0], options_of(card), card.facts)
    gone = kind_module("audio").hidden(thing, np.ones(MOMENTS * BANDS, bool), card.facts)
    whole, rest = (
        logit(bundle.predict_raw({**raw, "audio": [how.write(one)]})["label"][0][int(said.argmax())]) for one in (thing, gone)
    )
    assert np.sum(row["worth of audio"]) == pytest.approx(whole - rest, abs=1e-6)


def raw_of(modality, sample):
    for path in (RAW / modality).glob("*.parquet"):
        for row in pq.read_table(path).to_pylist():
            if row["sample_id"] == sample:
                return row["data"]
    return None


def test_the_same_bytes_twice_and_pictures_are_there_to_be_erased():
    before = folder_digest(OUT)
    _, rows = again()
    assert folder_digest(OUT) == before
    assert sorted(path.name for path in OUT.iterdir()) == ["deletion.png", "examples.parquet", "explain.json"]
    assert all(row["picture"].startswith(b"\x89PNG") for row in rows)
    content = (OUT / "examples.parquet").read_bytes()
    assert tells(io.BytesIO(content), len(content), Wanted(frozenset([rows[0]["sample_id"]]))) == YES
    told = (OUT / "explain.json").read_text()
    assert not any(row["sample_id"] in told for row in rows)


@pytest.mark.parametrize("name", ["late", "logistic", "alone-audio"])
def test_whatever_is_selected_is_explained(name):
    select(name)
    found, rows = again()
    assert found["selected"] == name
    assert len(rows) == 6
    assert found["modalities"]["audio"]["area"]["largest"] > found["modalities"]["audio"]["area"]["smallest"]


def test_shuffled_encoders_have_the_same_weights_elsewhere():
    bundle = Bundle.load(BUNDLE)
    lost = randomised(bundle, 0)
    for m in bundle.modalities:
        one, other = (dict(b.encoders[m].network.named_parameters()) for b in (bundle, lost))
        for name, weights in one.items():
            np.testing.assert_array_equal(
                np.sort(weights.detach().numpy(), axis=None), np.sort(other[name].detach().numpy(), axis=None)
            )
        assert any((weights != other[name]).any() for name, weights in one.items())


def test_none_asked_for_nothing_is_read(capsys):
    write_params(evaluate={"examples": 0})
    shutil.rmtree(RAW)
    shutil.rmtree(BUNDLE)
    found, rows = again()
    assert (found["right"], found["wrong"], found["modalities"], rows) == (0, 0, {}, [])
    capsys.readouterr()
    reads()
    assert json.loads(capsys.readouterr().out) == []


def test_what_is_asked_for_is_what_is_read(capsys):
    capsys.readouterr()
    reads()
    wanted = json.loads(capsys.readouterr().out)
    for path in RAW.rglob("*.parquet"):
        if str(path) not in wanted:
            path.unlink()
    before = folder_digest(OUT)
    again()
    assert folder_digest(OUT) == before
    Path(wanted[0]).unlink()
    with pytest.raises(NoData, match="is not here"):
        explain()


def test_the_newest_batches_are_looked_at_until_enough_of_them_are_labelled():
    judged = read_samples_of(["test"]).to_pandas().dropna(subset="label")
    old, new = (batch.key for batch in read_index()[-2:])
    few, more = ENOUGH * 1, int((judged["batch"] == new).sum()) + 1
    assert few < more - 1
    for count, batches in ((few / ENOUGH, {new}), (more / ENOUGH, {old, new})):
        found = newest(["audio", "image"], "label", count).to_pandas()
        assert set(found["sample_id"]) == set(judged.loc[judged["batch"].isin(batches), "sample_id"])
        assert found["sample_id"].is_monotonic_increasing
    unlabelled = pq.read_table(MANIFEST / "samples.parquet")
    labels = [None if batch == new else label for batch, label in zip(*map(list, columns(unlabelled)), strict=True)]
    place = unlabelled.column_names.index("label")
    write_parquet(MANIFEST / "samples.parquet", unlabelled.set_column(place, "label", pa.array(labels, pa.int64())))
    assert set(newest(["audio", "image"], "label", 1)["batch"].to_pylist()) == {old}


def columns(table):
    return table["batch"].to_pylist(), table["label"].to_pylist()


def test_of_a_large_batch_few_partitions_are_read(monkeypatch):
    monkeypatch.setattr("tasks.explain.among.MOST", 4)
    [whole] = [batch for batch in read_index() if batch.name == "night-3"]
    first = whole.partitions["audio"][0]
    ids = pq.read_table(RAW / first.path)["sample_id"].to_pylist()
    body = read_features(FEATURES / f"audio/{first.stem}.safetensors")
    parts = []
    for number, at in enumerate(range(0, len(ids), 10)):  # as if it had landed in many partitions
        stem = f"{first.stem.rpartition('-')[0]}-{number:03d}"
        rows = np.arange(at, min(at + 10, len(ids)))
        write_features(FEATURES / f"audio/{stem}.safetensors", chosen(body, rows), "", [ids[row] for row in rows])
        parts.append(Partition(f"audio/{stem}.parquet", len(rows), ""))
    write_index([*read_index()[:-1], replace(whole, partitions={**whole.partitions, "audio": tuple(parts)})])
    found = newest(["audio"], "label", 3)
    assert found.num_rows == 4
    assert len(read_by(["audio"], found)) <= 2 < len(parts)
