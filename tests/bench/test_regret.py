"""What is made of a data set's nights, on hand-made answers: what is selected, by how much it leads, what is regretted."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.tables import write_parquet
from tests.bench.judging import Regret, judge
from tests.bench.regret import nights

KINDS = {"alone-a": ["alone", 5], "late": ["late", 10], "logistic": ["logistic", 20], "mean": ["fusion", 30]}


def write(folder: Path, val: dict[str, float], test: dict[str, float], nights: int = 5, samples: int = 1000) -> list[Path]:
    """A table per night; of each candidate the share of validation and of test samples that it gets right."""
    files = []
    for night in range(nights):
        rng, parts = np.random.default_rng(night), []
        for split, right in (("val", val), ("test", test)):
            truth, luck = rng.integers(0, 3, samples), rng.random(samples)  # luck is shared: all find the same samples hard
            said = {name: np.where(luck < share, truth, (truth + 1) % 3) for name, share in right.items()}
            groups = [f"{split}-{night}-{row // 2}" for row in range(samples)]
            parts.append(pa.table({"split": [split] * samples, "group": groups, "truth": truth, **said}))
        about = {"candidates": KINDS, "classes": 3, "metric": "accuracy", "most": 0.01}
        files.append(folder / f"{night}.parquet")
        write_parquet(files[-1], pa.concat_tables(parts).replace_schema_metadata({"about": json.dumps(about)}))
    return files


def judged(folder: Path, val: dict[str, float], test: dict[str, float], name: str = "diagnosis", samples: int = 1000) -> Regret:
    return judge(name, write(folder, val, test, samples=samples))


CLEAR = {"alone-a": 0.6, "late": 0.7, "logistic": 0.8, "mean": 0.9}


def test_a_choice_that_holds_on_the_test_samples_is_not_regretted(tmp_path: Path) -> None:
    found = judged(tmp_path, CLEAR, CLEAR)
    assert (found.samples, found.groups, found.selected["mean"]) == (5000, 2500, 5)
    assert found.scores["selected"] == found.scores["mean"] == pytest.approx(0.9, abs=0.02)
    assert found.leads["alone-a"].value == pytest.approx(0.3, abs=0.02)
    assert found.leads["logistic"].low < 0.1 < found.leads["logistic"].high
    assert found.problems == ()


def test_a_choice_that_falls_behind_by_more_than_a_point_is_regretted(tmp_path: Path) -> None:
    found = judged(tmp_path, CLEAR, {**CLEAR, "logistic": 0.92})
    assert [text.partition(" over ")[2] for text in found.problems] == ["logistic: may be more than a point behind"]


def test_where_samples_cannot_tell_a_point_the_mean_is_looked_at(tmp_path: Path) -> None:
    few = judged(tmp_path, CLEAR, {**CLEAR, "logistic": 0.89}, samples=40)
    assert few.leads["logistic"].low < -0.01 or few.leads["logistic"].value >= 0
    assert few.problems == ()


def test_av_digits_has_a_bar_of_its_own(tmp_path: Path) -> None:
    low = {"alone-a": 0.75, "late": 0.8, "logistic": 0.8, "mean": 0.86}
    assert "needed 0.87 and +0.15" in judged(tmp_path, CLEAR, low, "av-digits").problems[-1]
    assert judged(tmp_path, CLEAR, CLEAR, "av-digits").problems == ()


def test_few_groups_are_judged_by_every_fold() -> None:
    assert list(nights("speech", 2)) == ["speech-0", "speech-1"]
    assert len(nights("terrain", 5)) == 25
    assert nights("terrain", 2)["terrain-1-3"] == {"seed": 1, "split.fold": 3, "split.folds": 5}
