"""Which unlabelled samples are asked for: by hand, and on a planted night."""

import contextlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.bundle import Bundle
from tasks.evaluate.__main__ import evaluate
from tasks.evaluate.label_next import MOST, SHOWN, asked_for, label_next
from tasks.params import load
from tasks.paths import BUNDLE, REPORTS
from tasks.select.__main__ import select
from tasks.tables import write_parquet
from tasks.targets import Output
from tasks.train.__main__ import train
from tasks.train.inputs import Inputs, aligned
from tests.planted import plant

SAMPLES = Path("data/3_manifest/samples.parquet")
OUT = REPORTS / "evaluate/label_next.parquet"
CLASSES = Output("classification", ("cat", "dog", "elk"))


def rows(n, group=lambda i: f"g{i}"):
    return pa.table({"sample_id": [f"s{i}" for i in range(n)], "batch": ["n1"] * n, "group": [group(i) for i in range(n)]})


def test_the_least_margin_comes_first_and_a_group_once():
    answer = np.array([[0.5, 0.3, 0.2], [0.4, 0.39, 0.21], [0.98, 0.01, 0.01], [0.1, 0.45, 0.45]])
    found = label_next(rows(4, lambda i: "g0" if i in (1, 3) else f"h{i}"), answer, {}, CLASSES).to_pylist()
    assert [row["sample_id"] for row in found] == ["s3", "s0", "s2"]
    assert [row["says"] for row in found] == ["dog", "cat", "cat"]
    assert [row["doubt"] for row in found] == pytest.approx([1.0, 0.8, 0.03])


def test_several_labels_are_doubted_near_even_and_values_where_candidates_differ():
    tags = Output("multilabel", ("a", "b"))
    found = label_next(rows(3), np.array([[0.9, 0.1], [0.5, 0.6], [0.0, 0.0]]), {}, tags).to_pylist()
    assert [(row["sample_id"], row["says"]) for row in found] == [("s1", "a|b"), ("s0", "a"), ("s2", "|")]
    assert [row["doubt"] for row in found] == pytest.approx([0.9, 0.2, 0.0])
    others = {"mean": np.array([[1.0], [5.0]]), "late": np.array([[1.0], [9.0]])}
    found = label_next(rows(2), others["mean"], others, Output("regression")).to_pylist()
    assert [(row["sample_id"], row["says"], row["doubt"]) for row in found] == [("s1", "5", 2.0), ("s0", "1", 0.0)]


def test_no_more_are_asked_or_told_than_so_many_and_the_newest_first():
    n = MOST + 30
    table = rows(n).append_column("unlabelled", pa.array([True] * n))
    table = table.set_column(1, "batch", pa.array(["n1"] * 50 + ["n2"] * (n - 50)))
    found = asked_for(table)
    assert found.num_rows == MOST
    assert found["batch"].to_pylist().count("n2") == n - 50
    assert label_next(found, np.full((MOST, 3), 1 / 3), {}, CLASSES).num_rows == SHOWN
    assert asked_for(rows(3)).num_rows == 0  # a manifest from before there were any


@pytest.fixture
def night(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(None):
        plant(epochs=4)
        for name in ("concat", "mean", "plain"):
            train(name)
        select()


@pytest.mark.usefixtures("night")
def test_unlabelled_samples_are_told_by_the_doubt_of_the_selected_model():
    evaluate()
    assert pq.read_table(OUT).num_rows == 0
    table = pq.read_table(SAMPLES)
    chosen = np.arange(table.num_rows) % 5 == 0
    held = np.array([split in ("val", "test") for split in table["split"].to_pylist()])
    free = pa.array(chosen & ~held)
    splits = ["" if one else split for one, split in zip(free.to_pylist(), table["split"].to_pylist(), strict=True)]
    table = table.drop_columns(["unlabelled"] if "unlabelled" in table.column_names else [])
    table = table.append_column("unlabelled", free)
    write_parquet(SAMPLES, table.set_column(table.column_names.index("split"), "split", [splits]))
    evaluate()
    found, bundle = pq.read_table(OUT), Bundle.load(BUNDLE)
    samples = table.filter(free).sort_by("sample_id")
    inputs = Inputs(samples, {m: aligned(m, samples) for m in load().modalities})
    best = np.sort(bundle.predict(inputs.features)["label"], axis=1)
    margin = dict(zip(samples["sample_id"].to_pylist(), 1 - best[:, -1] + best[:, -2], strict=True))
    assert found.num_rows == min(SHOWN, len(set(samples["group"].to_pylist())))
    assert set(found["sample_id"].to_pylist()) <= set(margin)
    assert found["doubt"].to_pylist() == pytest.approx([margin[name] for name in found["sample_id"].to_pylist()])
    assert found["doubt"][0].as_py() == pytest.approx(max(margin.values()))
    assert (np.diff(found["doubt"]) <= 0).all()
