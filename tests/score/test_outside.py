"""Labelled batches from elsewhere: scores against scikit-learn, and what cannot be scored is told."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, r2_score, roc_auc_score

from tasks.bundle import Bundle
from tasks.calibration import Confidence
from tasks.evaluate.scores import Sureness
from tasks.score.outside import main, outside
from tests.score.small import drawn, land

CLASSES = ("cat", "dog", "elk")
SURE = Sureness(200, 0.95, 0)


@pytest.fixture
def zone(tmp_path: Path, bundle: Bundle) -> tuple[Path, dict, dict]:
    """Two batches with labels, and what the bundle says of their samples; one has no label, one an unknown one."""
    samples, rng = drawn(24), np.random.default_rng(1)
    labels = [str(name) for name in rng.choice(CLASSES, 24)]
    labels[22], labels[23] = "", "zebra"
    truth = {"label": labels, "size": [f"{value:.3f}" for value in rng.normal(50, 10, 24)], "signs": ["cough", "|"] * 12}
    names = list(samples)
    for batch, part in (("a", slice(0, 10)), ("b", slice(10, 24))):
        cells = {target: cells[part] for target, cells in truth.items()}
        land(tmp_path / "zone" / batch, {n: samples[n] for n in names[part]}, **cells)
    said = bundle.predict_raw({m: [sample.get(m) for sample in samples.values()] for m in bundle.modalities})
    return tmp_path / "zone", truth, said


def test_scores_are_those_of_scikit_learn_on_all_batches(zone, bundle: Bundle) -> None:
    place, truth, said = zone
    found = outside(bundle.folder, str(place), SURE)
    assert (found["rows"], found["predicted"], found["left_out"], found["reasons"]) == (24, 24, 0, [])
    label, known = found["targets"]["label"], slice(0, 22)
    assert (label["unlabelled"], label["unknown"]) == (1, 1)
    true, answer = np.array([CLASSES.index(name) for name in truth["label"][known]]), said["label"][known]
    scores = label["scores"]
    assert scores["accuracy"]["value"] == pytest.approx(accuracy_score(true, answer.argmax(1)))
    assert scores["macro_f1"]["value"] == pytest.approx(f1_score(true, answer.argmax(1), average="macro"))
    assert scores["auroc"]["value"] == pytest.approx(roc_auc_score(np.eye(3)[true], answer), abs=1e-5)
    assert (scores["accuracy"]["samples"], scores["accuracy"]["groups"]) == (22, 6)  # a group may have samples in both batches
    assert scores["accuracy"]["low"] <= scores["accuracy"]["value"] <= scores["accuracy"]["high"]
    groups = np.arange(22).astype(object)
    assert label["error"] == pytest.approx(Confidence.of(true, answer, groups, bundle.targets["label"]).error, abs=1e-5)
    size = np.array([float(value) for value in truth["size"]])
    assert found["targets"]["size"]["scores"]["r2"]["value"] == pytest.approx(r2_score(size, said["size"][:, 0]), abs=1e-4)
    assert "error" not in found["targets"]["size"]


def test_the_command_tells_people_and_programs(zone, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    place, _, _ = zone
    assert main([str(place), "--bundle", str(bundle.folder)]) == 0
    shown = capsys.readouterr().out
    assert "label: 22 samples of 6 groups, 1 unlabelled, 1 unknown" in shown
    assert "calibration error" in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert main([str(place / "a"), "--bundle", str(bundle.folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["targets"]["label"]["scores"]["accuracy"]["samples"] == 10


def test_what_cannot_be_scored_is_told(tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    land(tmp_path / "zone/a", drawn(3))
    (tmp_path / "empty").mkdir()
    land(tmp_path / "lost/b", drawn(3), label=["cat"] * 3)
    for path in (tmp_path / "lost/b").rglob("*.*"):
        if path.name != "metadata.csv":
            path.unlink()
    for place, says in (
        ("zone", "no sample of"),
        ("lost", "could be used: "),
        ("empty", "holds no batch of samples"),
        ("nowhere", "is not here"),
    ):
        assert main([str(tmp_path / place), "--bundle", str(bundle.folder)]) == 2
        assert says in capsys.readouterr().err
