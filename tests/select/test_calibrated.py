"""Samples that were set aside: a temperature is fitted to them and nothing else, and the bundle has it applied."""

import contextlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.bundle import Bundle
from tasks.calibration import temperature, tempered
from tasks.errors import ContractBroken
from tasks.evaluate.__main__ import evaluate
from tasks.files import folder_digest, read_json, write_json
from tasks.params import load
from tasks.paths import BUNDLE, CANDIDATES, REPORTS
from tasks.select.__main__ import select
from tasks.tables import read_answer, truth, write_parquet
from tasks.train.__main__ import train
from tasks.train.candidates import load_candidate
from tasks.train.inputs import read_inputs
from tests.planted import enter_copy, plant

SAMPLES = Path("data/3_manifest/samples.parquet")


def set_aside(share=0.6):
    """Every so many of val's samples become the part `calibration`."""
    table = pq.read_table(SAMPLES)
    splits, seen = table["split"].to_pylist(), 0
    for row, split in enumerate(splits):
        if split == "val":
            seen += 1
            splits[row] = "calibration" if seen * share % 1 < share else "val"
    write_parquet(SAMPLES, table.set_column(table.column_names.index("split"), "split", [splits]))


def relabelled(split):
    """The samples of a part get other labels."""
    table = pq.read_table(SAMPLES)
    labels = np.where(np.array(table["split"].to_pylist()) == split, (truth(table["label"]) + 1) % 4, truth(table["label"]))
    write_parquet(SAMPLES, table.set_column(table.column_names.index("label"), "label", pa.array(labels, pa.int64())))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        plant(samples=480, epochs=12)
        set_aside()
        for name in ("concat", "mean", "plain"):
            train(name)
    return folder


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, fitted):
    enter_copy(fitted, tmp_path, monkeypatch)


def test_a_bundle_answers_at_the_temperature_that_its_aside_samples_ask_for():
    select()
    choice, bundle = read_json(REPORTS / "select.json"), Bundle.load(BUNDLE)
    folder = next(p for p in (CANDIDATES / choice["selected"], CANDIDATES / "plain" / choice["selected"]) if p.is_dir())
    aside, candidate = read_inputs(load().modalities, "calibration"), load_candidate(folder)
    asked = temperature(aside.labels("label"), candidate.predict(aside.features)["label"], bundle.targets["label"])
    assert bundle.temperature == {"label": pytest.approx(asked, rel=1e-4)}
    assert abs(np.log(asked)) > 0.05  # else this shows nothing
    assert choice["calibrated_on"]["samples"] == len(aside) > 40
    test = read_inputs(load().modalities, "test")
    raw = candidate.predict(test.features)["label"]
    found = bundle.predict(test.features)["label"]
    np.testing.assert_array_equal(found, tempered(raw, bundle.targets["label"], bundle.temperature["label"]))
    assert not np.array_equal(found, raw)


def test_what_evaluate_and_the_bundle_say_of_test_samples_is_the_same():
    select()
    evaluate()
    scores, bundle = read_json(REPORTS / "evaluate/scores.json"), Bundle.load(BUNDLE)
    table = pq.read_table(REPORTS / "evaluate/predictions.parquet")
    found = read_answer(table, "label", bundle.targets["label"])
    np.testing.assert_array_equal(found, bundle.predict(read_inputs(load().modalities, "test").features)["label"])
    shares = sum(table[f"share of {m}"].to_numpy() for m in bundle.modalities)
    nothing = bundle.predict_raw({m: [None] for m in bundle.modalities})["label"][0]
    decided = found.argmax(axis=1)
    np.testing.assert_allclose(shares, found[np.arange(len(found)), decided] - nothing[decided], atol=1e-9)
    told = scores["calibration"]
    said, hit = found.max(axis=1), decided == truth(table["label"])
    assert told["fitted_on"]["samples"] > 40
    assert sum(b["answers"] for b in told["bins"]) == len(found)
    assert sum(b["answers"] * b["right"] for b in told["bins"]) == pytest.approx(hit.sum())
    assert sum(b["answers"] * b["sure"] for b in told["bins"]) == pytest.approx(said.sum())
    assert (REPORTS / "evaluate/reliability.png").stat().st_size > 8_000


def test_samples_that_were_set_aside_change_nothing_but_the_temperature(tmp_path):
    select()
    before, chosen = read_json(BUNDLE / "calibration.json"), read_json(REPORTS / "select.json")
    weights = folder_digest(BUNDLE / "fusion")
    relabelled("calibration")
    train("concat")
    select()
    assert folder_digest(BUNDLE / "fusion") == weights
    after = read_json(REPORTS / "select.json")
    assert {n: (c["score"], c["eligible"]) for n, c in after["candidates"].items()} == {
        n: (c["score"], c["eligible"]) for n, c in chosen["candidates"].items()
    }
    assert read_json(BUNDLE / "calibration.json")["temperature"]["label"] > 2 * before["temperature"]["label"]


def test_without_samples_set_aside_nothing_is_changed():
    table = pq.read_table(SAMPLES)
    write_parquet(SAMPLES, table.filter(np.array(table["split"].to_pylist()) != "calibration"))
    select()
    assert read_json(BUNDLE / "calibration.json") == {"temperature": {"label": 1.0}}
    assert read_json(REPORTS / "select.json")["calibrated_on"] == {"samples": 0, "groups": 0}


WRONG = ({"label": 0.0}, {"label": "1"}, {"size": 1.0}, {"label": 1e9}, [])


@pytest.mark.parametrize("content", [*({"temperature": body} for body in WRONG), {"heat": {}}, []])
def test_a_bundle_with_another_calibration_is_refused(content):
    select()
    write_json(BUNDLE / "calibration.json", content)
    with pytest.raises(ContractBroken, match=r"calibration.json must hold a temperature from 0.05 to 20 of label"):
        Bundle.load(BUNDLE)
    (BUNDLE / "calibration.json").unlink()
    assert Bundle.load(BUNDLE).temperature == {}  # of a version from before there were any
    (BUNDLE / "calibration.json").symlink_to("/etc/hostname")
    with pytest.raises(ContractBroken, match=r"linked: calibration.json"):
        Bundle.load(BUNDLE)
