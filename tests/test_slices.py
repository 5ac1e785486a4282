"""Parts of the samples: which there are, what the report tells of them, and a candidate that one of them pays for."""

import re

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import false_discovery_control

from tasks.gate.rows.slices import holm
from tasks.slices import MOST, slices
from tasks.targets import Output
from tests.gate.nights import Night, one_hot

OUTPUT = Output("classification", ("cat", "dog"))
SAMPLES = pa.table(
    {
        "label": [0, 1, 1, 0],
        "has_audio": [True, True, False, True],
        "has_image": [True] * 4,
        "domain": ["a", "b", "", "b"],
        "slice site": ["x", "y", "y", ""],
    }
)


def test_slices_are_classes_absent_modalities_domains_and_named_columns():
    found = slices(SAMPLES, ["site"], "label", OUTPUT, "accuracy")
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "domain = a": [True, False, False, False],
        "domain = b": [False, True, False, True],
        "label = cat": [True, False, False, True],
        "label = dog": [False, True, True, False],
        "site = x": [True, False, False, False],
        "site = y": [False, True, True, False],
        "without audio": [False, False, True, False],
    }
    assert "label = cat" not in slices(SAMPLES, [], "label", OUTPUT, "macro_f1")


def test_a_column_of_many_numbers_is_cut_at_its_quartiles():
    ages = np.random.default_rng(0).permutation(np.arange(20, 100))
    cells = [*map(str, ages), "", ""]
    many = pa.table({"label": [0] * 82, "slice age": cells, "has_a": [True] * 82})
    found = slices(many, ["age"], "label", OUTPUT, "r2")
    assert {name: (rows.sum(), set(ages[rows[:80]])) for name, rows in found.items()} == {
        f"age {low} … {low + 19}": (20, set(range(low, low + 20))) for low in (20, 40, 60, 80)
    }
    few = pa.table({"label": [0] * 80, "slice age": [str(age // 10) for age in ages], "has_a": [True] * 80})
    assert set(slices(few, ["age"], "label", OUTPUT, "r2")) == {f"age = {tens}" for tens in range(2, 10)}
    words = many.set_column(1, "slice age", pa.array([*cells[:-3], "0 old", "", ""]))
    assert "age = 0 old" in slices(words, ["age"], "label", OUTPUT, "r2")
    heaped = many.set_column(1, "slice age", pa.array([*(["0"] * 60), *map(str, range(20)), "", ""]))
    assert {name: rows.sum() for name, rows in slices(heaped, ["age"], "label", OUTPUT, "r2").items()} == {
        "age = 0": 61,
        "age 1 … 19": 19,
    }


def test_a_column_with_a_value_of_its_own_in_every_sample_does_not_flood():
    many = pa.table({"label": [0] * 200, "slice id": [f"v{i}" for i in range(200)], "has_a": [True] * 200})
    assert len(slices(many, ["id"], "label", OUTPUT, "accuracy")) == MOST


def test_holms_correction_is_that_of_the_book():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})  # Holm's procedure by hand
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert (np.array([found[name] for name in "abcd"]) >= false_discovery_control(p) - 1e-12).all()  # stricter than BH


class Sites(Night):
    """Two sites: at one the candidate does worse, which all together hardly shows."""

    def __init__(self, small):
        super().__init__(n=2000, champion=0.9, anchor=0.9)
        self.site = np.where(np.arange(2000) % 200 < 20, "small", "large")  # groups are pairs: whole ones
        luck = np.random.default_rng(3).random(2000)
        self.reigning = {who: one_hot(np.where(luck < 0.9, self.truth, 1 - self.truth)) for who in ("champion", "anchor")}
        share = np.where(self.site == "small", small, 0.93)
        self.mine = one_hot(np.where(luck < share, self.truth, 1 - self.truth))
        self.columns, self.more = {"slice site": [*self.site, "", "", ""]}, "validate: {slices: [site]}"


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("small", "verdict"), [(0.9, "pass"), (0.88, "pass"), (0.7, "fail")])
def test_a_candidate_that_one_slice_pays_for_is_stopped(small, verdict):
    found, rows = Sites(small).judge()
    assert (rows["champion"]["verdict"], rows["slices"]["verdict"]) == ("pass", verdict)
    assert found["decided_by"] == ("slices" if verdict == "fail" else "champion")
    if verdict == "fail":
        wanted = r"site = small: 0\.\d+ against 0\.\d+ of v1\.1\.0 on 200 samples \(100 groups\): .* after Holm's correction"
        assert re.search(wanted, rows["slices"]["reason"])


def test_equal_candidates_are_stopped_by_chance_no_more_often_than_promised():
    stopped = 0
    for seed in range(200):
        night = Sites(0.9)
        rng = np.random.default_rng(seed)
        luck = [np.where(rng.random(2000) < 0.9, night_luck, rng.random(2000)) for night_luck in [rng.random(2000)] * 2]
        champion, mine = (one_hot(np.where(each < 0.9, night.truth, 1 - night.truth)) for each in luck)
        night.reigning, night.mine = {"champion": champion, "anchor": champion}, mine
        stopped += night.judge()[1]["slices"]["verdict"] == "fail"
    assert stopped <= 5
