"""The stage on raw inputs with a planted truth: an answer is explained by the tone, at its pitch, and by no picture."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import logit

from tasks.bundle import Bundle
from tasks.erase.find import YES, Wanted, tells
from tasks.errors import NoData
from tasks.explain import kind_module
from tasks.explain.__main__ import explain
from tasks.explain.audio import BANDS, MOMENTS, _bands
from tasks.explain.reads import reads
from tasks.explain.worth import randomised
from tasks.extract import options_of
from tasks.files import folder_digest, read_json
from tasks.params import load
from tasks.paths import BUNDLE, CANDIDATES, RAW, REPORTS
from tasks.robustness import kind_module as opener
from tasks.select.assemble import assemble
from tasks.train.__main__ import train
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
