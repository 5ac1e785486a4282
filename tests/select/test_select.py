"""The rule on hand-made scores, and the bundle that it leads to."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tasks.errors import ContractBroken, NoData
from tasks.files import folder_digest, read_json
from tasks.intervals import standard_error
from tasks.measures import tally
from tasks.paths import BUNDLE, CANDIDATES, ENCODERS, REPORTS
from tasks.select.__main__ import select
from tasks.select.rule import Judged, choose
from tasks.tables import write_parquet
from tasks.train.__main__ import train
from tests.planted import plant


def judged(kind, parameters, wrong, n=100):
    """A candidate that gets the samples in `wrong` wrong; each sample is its own group."""
    predicted = np.zeros(n, np.int64)
    predicted[list(wrong)] = 1
    return Judged(kind, parameters, tally("accuracy", np.zeros(n, np.int64), predicted, np.arange(n).astype(object), 2))


def test_the_simplest_within_one_standard_error_of_the_difference_is_taken():
    candidates = {
        "attention": judged("fusion", 900, range(8)),
        "mean": judged("fusion", 300, range(9)),  # one more error: within
        "logistic": judged("logistic", 50, range(20)),  # twelve more: not
    }
    selected, standing = choose(candidates)
    assert selected == "mean"
    assert [standing[name].eligible for name in ("attention", "mean", "logistic")] == [True, True, False]
    assert standing["attention"].se_of_difference == 0
    p = 12 / 100
    assert standing["logistic"].se_of_difference == pytest.approx(np.sqrt(p * (1 - p) / 99))


def test_what_all_find_hard_does_not_make_a_worse_candidate_eligible():
    hard = range(40)  # the standard error of the best's own score would be 0.049, of the difference it is 0.017
    best, worse = judged("fusion", 9, hard), judged("late", 1, range(44))
    assert best.tally.value - worse.tally.value < standard_error(best.tally)
    assert choose({"mean": best, "late": worse})[0] == "mean"


def test_what_a_simpler_candidate_beats_is_never_taken():
    def grouped(kind, parameters, wrong):
        """Five groups of twenty; `wrong` errors in each."""
        predicted = np.concatenate([np.arange(20) < number for number in wrong]).astype(np.int64)
        sums = tally("accuracy", np.zeros(100, np.int64), predicted, np.repeat(np.arange(5), 20).astype(object), 2)
        return Judged(kind, parameters, sums)

    candidates = {
        "alone-a": grouped("alone", 1, (6, 6, 5, 6, 6)),  # surely behind the best
        "late": grouped("late", 2, (20, 18, 0, 0, 2)),  # behind it too, but its errors sit in two groups
        "mean": grouped("fusion", 9, (4, 4, 4, 4, 4)),
    }
    selected, standing = choose(candidates)
    assert standing["late"].score < standing["alone-a"].score
    assert not standing["alone-a"].eligible
    lead = standing["mean"].score - standing["late"].score
    assert lead <= standing["late"].se_of_difference
    assert (selected, standing["late"].eligible) == ("mean", False)


def test_a_wide_error_is_no_licence_to_give_points_away():
    def grouped(kind, parameters, wrong):
        """Six groups of ten; `wrong` errors in each."""
        predicted = np.concatenate([np.arange(10) < number for number in wrong]).astype(np.int64)
        sums = tally("accuracy", np.zeros(60, np.int64), predicted, np.repeat(np.arange(6), 10).astype(object), 2)
        return Judged(kind, parameters, sums)

    candidates = {
        "alone-a": grouped("alone", 1, (8, 0, 0, 2, 0, 0)),  # 3 points behind, within an error of 12
        "mean": grouped("fusion", 9, (2, 1, 1, 1, 1, 2)),
    }
    behind, standing = choose(candidates)
    assert 0.03 < standing["mean"].score - standing["alone-a"].score < standing["alone-a"].se_of_difference
    assert behind == "alone-a"
    assert choose(candidates, most=0.01)[0] == "mean"
    assert choose(candidates, most=0.04)[0] == "alone-a"


def test_simple_comes_before_small_and_names_break_ties():
    same = {
        "mean": judged("fusion", 1, [0]),
        "late": judged("late", 99, [0]),
        "alone-b": judged("alone", 5, [0]),
        "alone-a": judged("alone", 5, [0]),
    }
    assert choose(same)[0] == "alone-a"
    assert choose({name: body for name, body in same.items() if "alone" not in name})[0] == "late"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        plant(epochs=8)
        for name in ("concat", "mean", "plain"):
            train(name)
    return folder


@pytest.fixture
def night(tmp_path, monkeypatch, fitted):
    shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("night")
def test_the_bundle_holds_what_the_candidate_uses_and_nothing_else():
    select()
    report = read_json(REPORTS / "select.json")
    described = read_json(BUNDLE / "bundle.json")
    assert described["candidate"] == report["selected"]
    assert set(report["candidates"]) == {"alone-audio", "alone-image", "alone-text", "late", "logistic", "concat", "mean"}
    assert report["candidates"][report["selected"]]["eligible"]
    for m in described["modalities"]:
        assert folder_digest(BUNDLE / "encoders" / m) == folder_digest(ENCODERS / m)
    assert not list(BUNDLE.rglob("*.parquet"))
    first = folder_digest(BUNDLE)
    select()
    assert folder_digest(BUNDLE) == first


@pytest.mark.usefixtures("night")
def test_a_margin_below_0_asks_for_more_and_gives_nothing_away():
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(params | {"gate": {"margin": -0.01}}))
    select()
    rows = read_json(REPORTS / "select.json")["candidates"]
    best = max(row["score"] for row in rows.values())
    assert {row["score"] for row in rows.values() if row["eligible"]} == {best}


@pytest.mark.usefixtures("night")
def test_unused_encoders_stay_out_and_late_carries_its_parts():
    for winner, modalities in {"alone-image": {"image"}, "late": {"audio", "image", "text"}}.items():
        for path in CANDIDATES.rglob("scores.parquet"):
            if path.parent.parent.name != "late":
                make_perfect(path, path.parent.name == winner)
        select()
        assert read_json(REPORTS / "select.json")["selected"] == winner
        assert {path.name for path in (BUNDLE / "encoders").iterdir()} == modalities
    assert (BUNDLE / "fusion/alone-text/weights.safetensors").is_file()


def make_perfect(path, perfect):
    """Probabilities that answer right, or always the first class."""
    samples = pq.read_table("data/3_manifest/samples.parquet")
    truth = dict(zip(samples["sample_id"].to_pylist(), samples["label"].to_pylist(), strict=True))
    table = pq.read_table(path)
    answer = [truth[name] if perfect else 0 for name in table["sample_id"].to_pylist()]
    for index in range(4):
        column = table.column_names.index(f"label__{index}")
        table = table.set_column(column, f"label__{index}", [[float(a == index) for a in answer]])
    write_parquet(path, table)


@pytest.mark.usefixtures("night")
def test_scores_that_are_not_of_the_validation_samples_are_refused():
    path = CANDIDATES / "mean/scores.parquet"
    table = pq.read_table(path)
    write_parquet(path, table.slice(2))
    with pytest.raises(ContractBroken, match="lacks 2 validation samples"):
        select()
    write_parquet(path, table.set_column(1, "label__0", [[float("nan")] * table.num_rows]))
    with pytest.raises(ContractBroken, match="holds NaN or infinity in label"):
        select()


@pytest.mark.usefixtures("night")
def test_an_absent_candidate_or_encoder_is_told():
    (ENCODERS / "audio/encoder.json").rename("elsewhere")
    (ENCODERS / "audio/weights.safetensors").unlink()
    (ENCODERS / "audio").rmdir()
    with pytest.raises(NoData, match="dvc repro pretrain@audio"):
        select()
    (CANDIDATES / "mean/candidate.json").unlink()
    with pytest.raises(NoData, match="no candidate mean"):
        select()
    assert not Path("data/5_models/bundle").exists()


@pytest.mark.usefixtures("night")
def test_unlabelled_validation_samples_are_left_out():
    path = Path("data/3_manifest/samples.parquet")
    table = pq.read_table(path)
    val = [row for row, split in enumerate(table["split"].to_pylist()) if split == "val"]
    labels = table["label"].to_pylist()
    for row in val[:7]:
        labels[row] = None
    write_parquet(path, table.set_column(table.column_names.index("label"), "label", [labels]))
    select()
    assert read_json(REPORTS / "select.json")["samples"] == len(val) - 7


def test_scores_below_0_are_compared_like_any_other():
    truth = np.arange(40.0)

    def valued(kind, error):
        sums = tally("neg_mean_absolute_error", truth, truth + error, np.arange(40).astype(object), 0)
        return Judged(kind, 1, sums)

    selected, standing = choose({"alone-a": valued("alone", 3.0), "mean": valued("fusion", 2.0)})
    assert (selected, standing["mean"].eligible, standing["alone-a"].score) == ("mean", True, -3.0)
