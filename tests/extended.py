"""What docs/extend.md adds, used: for a tree that has it (tests/test_docs.py makes one), where pytest is given this file."""

from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tasks.damage import CLEAN, damaged, kind_module
from tasks.extract.__main__ import extract
from tasks.features import read_features
from tasks.params import check
from tasks.paths import CANDIDATES, FEATURES, PROFILES
from tasks.pretrain.__main__ import pretrain
from tasks.profile.__main__ import profile
from tasks.train.__main__ import train
from tests.extract import raw
from tests.gate.nights import Night
from tests.planted import plant
from tests.train.test_candidates import accuracy

BINS = 16


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_fusion_is_fitted() -> None:
    plant(epochs=20)
    said = yaml.safe_load(Path("params.yaml").read_text())
    check({**said, "fusions": ["concat", "maximum"]})
    train("maximum")
    assert accuracy(CANDIDATES / "maximum") > 0.5  # of four classes


def test_a_row_judges() -> None:
    sure = Night()
    verdict, rows = sure.judge()
    assert (verdict["verdict"], rows["undecided"]["verdict"]) == ("promote", "pass")
    unsure = Night()
    unsure.mine = 0.45 + 0.1 * unsure.mine
    verdict, rows = unsure.judge()
    assert (rows["undecided"]["verdict"], rows["undecided"]["blocking"]) == ("fail", False)
    assert rows["undecided"]["reason"].startswith("100% of 400 samples")
    sure.mine[:60] = 0.5
    sure.gate = "margin: 0.02, rows: {undecided: blocking}"
    verdict, rows = sure.judge()
    assert (verdict["verdict"], rows["undecided"]["blocking"]) == ("reject", True)


def test_a_damage_is_done() -> None:
    kind, options = kind_module("text"), check(params("text", {})).modalities["thing"].options
    words = {f"s{i}": text.encode() for i, text in enumerate(["seven of nine", "four", "none of them"])}
    found = dict(damaged(kind, words, (0.5, 1.0), options, {}, seed=1))
    assert found[CLEAN] == list(words.values())
    half, whole = found["stuttered", 0.5], found["stuttered", 1.0]
    assert [Counter(text) for text in whole] == [Counter(text * 2) for text in words.values()]
    assert sum(map(len, found[CLEAN])) < sum(map(len, half)) < sum(map(len, whole))


def test_an_objective_teaches() -> None:
    raw.write_params("timeseries", objective="summary", epochs=6)
    raw.write_raw(raw.rows("timeseries"))
    pretrain("thing")
    curve = yaml.safe_load(Path("data/5_models/encoders/thing/encoder.json").read_text())["curve"]
    assert curve[-1] < 0.9 * curve[0]


def test_a_kind_goes_all_the_way() -> None:
    raw.OPTIONS["spectrum"], raw.MAKE["spectrum"] = {"bins": BINS}, spectrum
    raw.write_params("spectrum", epochs=8)
    made = raw.rows("spectrum")
    made[0]["data"] = spectrum("high", np.random.default_rng(0), BINS + 1)
    raw.write_raw(made)
    profile("thing")
    told = [row for path in sorted((PROFILES / "thing").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert [row["reason"] for row in told if not row["ok"]] == [f"spectrum of shape ({BINS + 1},); expected [{BINS}]"]
    pretrain("thing")
    extract("thing")
    found = [read_features(path) for path in sorted((FEATURES / "thing").glob("*"))]
    there = np.concatenate([features.mask[:, 0] for features in found])
    assert not there[0]
    tokens = np.concatenate([features.tokens[:, 0] for features in found])[there]
    labels = np.array([row["label"] for row in made])[there]
    means = [tokens[labels == label].mean(0) for label in raw.CLASSES]
    nearest = np.argmin([np.linalg.norm(tokens - mean, axis=1) for mean in means], 0)
    assert (np.array(raw.CLASSES)[nearest] == labels).mean() > 0.8
    items = {row["sample_id"]: row["data"] for row in made[1:]}
    options = check(params("spectrum", {"bins": BINS})).modalities["thing"].options
    shown = dict(damaged(kind_module("spectrum"), items, (0.5, 1.0), options, {}, seed=1))
    assert set(shown) == {CLEAN, *((name, level) for name in ("noise", "lost") for level in (0.5, 1.0))}
    dark = [np.mean([(np.load(BytesIO(data)) == 0).mean() for data in shown["lost", level]]) for level in (0.5, 1.0)]
    assert 0.35 < dark[0] < 0.55 < 0.8 < dark[1]


def params(kind: str, options: dict[str, object]) -> dict[str, object]:
    return {"modalities": {"thing": {"kind": kind, **options}}, "targets": {"label": {}}}


def spectrum(label: str, rng: np.random.Generator, bins: int = BINS) -> bytes:
    values = rng.normal(0, 0.5, bins)
    values[4 if label == "high" else 9] += 4
    file = BytesIO()
    np.save(file, values.astype(np.float32))
    return file.getvalue()
