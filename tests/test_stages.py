"""The stages by their commands, on a part of the sample with a second target: the digit as a class, and what it weighs."""

import contextlib
import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from data.recipes.digits import generate
from tasks.bundle import Bundle
from tasks.files import read_json
from tests.figures import ROOT, night, prepare, stage

SOURCES = 250


def landed(to: Path) -> list[dict[str, str]]:
    """The first night of the sample, smaller, with grams: 10 + 3 for each of the digit; some of either target is empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate, "sources", lambda night: list(range(SOURCES)))
        generate.land(1, to)
    path = to / "night-1/metadata.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["grams"] = "" if number % 7 == 0 else f"{10 + 3 * int(row['label']) + number % 3 - 1}"
        row["label"] = "" if number % 11 == 0 else row["label"]
    rows[1]["grams"] = "heavy"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return rows


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("stages")
    rows = landed(folder / "landing")
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw |= {
        "modalities": {"audio": {"kind": "audio", "max_s": 0.5}, "text": {"kind": "text"}},
        "targets": {"label": {"weight": 2.0}, "grams": {"type": "regression", "loss": "huber"}},
        "fusions": ["mean"],
        "robustness": {"samples": 20},
        "gate": {"target": "grams"},
    }
    recipe = folder / "params.yaml"
    recipe.write_text(yaml.safe_dump(raw))
    base, to = folder / "base", folder / "night"
    base.mkdir()
    prepare(base, recipe, str(folder / "landing"))
    scores = night(base, to, {"pretrain.epochs": 20, "train.epochs": 30, "train.balance": "weights"})
    stage(to, "probe")
    for modality in raw["modalities"]:
        stage(to, "damage", modality)
    stage(to, "robustness")
    stage(to, "explain")
    stage(to, "champion")
    stage(to, "gate")
    return to, rows, scores


def test_both_targets_are_scored_and_the_number_decides(done: tuple[Path, list[dict[str, str]], dict[str, Any]]) -> None:
    folder, _, scores = done
    selected = scores["selected"]
    assert (scores["target"], scores["metric"]) == ("grams", "r2")
    assert scores["candidates"][selected]["r2"]["value"] > 0.4
    assert scores["others"]["label"]["candidates"][selected]["accuracy"]["value"] > 0.5
    verdict = read_json(folder / "data/6_reports/verdict.json")
    assert verdict["verdict"] == "promote"
    assert {path.name for path in (folder / "data/6_reports/evaluate").glob("*.png")} == {
        "predicted.png",
        "clusters.png",
        "label-confusion.png",
        "scores.png",
        "shares.png",
    }


def test_every_row_is_accounted_for(done: tuple[Path, list[dict[str, str]], dict[str, Any]]) -> None:
    folder, rows, _ = done
    lost = {row["sample_id"]: row["reason"] for row in pq.read_table(folder / "data/3_manifest/quarantine.parquet").to_pylist()}
    assert lost.pop(rows[1]["sample_id"]) == "grams is 'heavy', expected a finite number"
    assert set(lost.values()) <= {"has no modality: each of them is empty"}  # the sample's pictures are left out here
    samples = pq.read_table(folder / "data/3_manifest/samples.parquet").to_pandas().set_index("sample_id")
    assert len(samples) + len(lost) + 1 == len(rows)
    for row in (row for row in rows[2:] if row["sample_id"] not in lost):
        said = samples["grams"][row["sample_id"]]
        assert np.isnan(said) if row["grams"] == "" else said == float(row["grams"])


def test_the_bundle_answers_both_from_raw_inputs(done: tuple[Path, list[dict[str, str]], dict[str, Any]]) -> None:
    folder, rows, _ = done
    chosen = [row for row in rows if row["text"] and row["audio_file_name"] and row["label"] and row["grams"]][1:80]
    landing = folder.parent / "landing/night-1"
    raw = {
        "audio": [(landing / row["audio_file_name"]).read_bytes() for row in chosen],
        "text": [row["text"].encode() for row in chosen],
    }
    with contextlib.chdir(folder):
        bundle = Bundle.load(Path("data/5_models/bundle"))
        found = bundle.predict_raw({m: raw[m] for m in bundle.modalities})
    classes = bundle.targets["label"].classes
    right = [classes[best] == row["label"] for best, row in zip(found["label"].argmax(1), chosen, strict=True)]
    assert np.mean(right) > 0.6
    assert np.corrcoef(found["grams"][:, 0], [float(row["grams"]) for row in chosen])[0, 1] > 0.7
