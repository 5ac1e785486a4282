"""Late labels: which label holds, what may be scored, and the score against a plain computation."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.evaluate.scores import Sureness
from tasks.files import file_digest
from tasks.index import Batch, Partition
from tasks.intervals import interval
from tasks.measures import tally
from tasks.raw import EVENTS
from tasks.score.live import curve, fallen, late_labels, met, point
from tasks.score.pictures import draw_live
from tasks.score.tables import Writer
from tasks.tables import write_parquet

SURE = Sureness(draws=300, confidence=0.95, seed=0)
TARGETS = {
    "label": {"type": "classification", "classes": ["cat", "dog"]},
    "size": {"type": "regression", "classes": []},
    "signs": {"type": "multilabel", "classes": ["cough", "fever"]},
}


def landed(name, kind, rows, schema):
    """A batch of samples or of events in the current folder, as ingest would have left it."""
    path = Path("data/1_raw", kind, f"{name}.parquet")
    write_parquet(path, pa.Table.from_pylist(rows, schema))
    return Batch(name, "0" * 64, {kind: (Partition(f"{kind}/{name}.parquet", len(rows), file_digest(path, "md5")),)})


def of_samples(name, *rows):
    words = ["sample_id", "label", "refused"]
    return landed(
        name, "samples", [dict(zip(words, row, strict=True)) for row in rows], pa.schema([(w, pa.string()) for w in words])
    )


def of_events(name, *rows):
    words = ["sample_id", "event", "value", "refused"]
    body = [{"row": n, **dict(zip(words, row, strict=True))} for n, row in enumerate(rows)]
    return landed(name, "events", body, EVENTS.remove(0))


def test_the_later_word_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batches = [
        of_samples("one", ["a", "cat", ""], ["b", None, ""], ["c", "cat", "twice"], ["d", "cat", ""], ["e", "dog", ""]),
        of_events(
            "two", ["b", "label", "dog", ""], ["x", "label", "cat", ""], ["d", "withdrawn", "", ""], ["a", "label", "", ""]
        ),
        of_samples("three", ["a", "dog", ""], ["f", "dog", ""]),
        of_events("four", ["x", "label", "dog", ""], ["e", "label", "elk", "no such row"], ["f", "size", "7", ""]),
    ]
    assert late_labels(batches, ["label", "size"]) == {
        "label": {"b": "dog", "x": "dog", "e": "dog", "f": "dog"},  # a: unlabelled again; c refused; d withdrawn
        "size": {"f": "7"},
    }
    assert late_labels([], ["label"]) == {"label": {}}


def predicted(ids, label=0.9, groups=None, seen=False, days=None):
    """A table of predictions, open for reading: p(cat) = `label`, size 50, cough and no fever."""
    n = len(ids)
    columns = {
        "sample_id": ids,
        "group": groups or [""] * n,
        "timestamp": days or [None] * n,
        "seen": seen if isinstance(seen, list) else [seen] * n,
        "label__cat": np.broadcast_to(label, n),
        "label__dog": 1 - np.broadcast_to(label, n),
        "size": [50.0] * n,
        "signs__cough": [0.9] * n,
        "signs__fever": [0.2] * n,
    }
    types = {"sample_id": pa.string(), "group": pa.string(), "seen": pa.bool_()}
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in columns])
    buffer = io.BytesIO()
    with Writer(buffer, schema, {"targets": TARGETS}) as file:
        file.add(columns)
    return io.BytesIO(buffer.getvalue())


def test_what_the_model_was_made_with_and_what_has_no_label_does_not_count():
    tables = [
        ("one-1", "2026-11-01", predicted(["a", "b", "c", "d"], seen=[False, True, None, False])),
        ("two-2", "2026-11-02", predicted(["a", "e", "f"], label=0.2, days=[None, 86400.0, None])),
    ]
    labels = {"label": {"a": "cat", "b": "cat", "c": "cat", "e": "cat", "f": "cow"}, "size": {"e": "47", "f": "heavy"}}
    found = met(tables, labels)
    assert set(found) == {"label", "size"}
    assert found["label"].rows[["sample_id", "batch", "day", "group"]].to_numpy().tolist() == [
        ["a", "one-1", "2026-11-01", "a"],
        ["e", "two-2", "1970-01-02", "e"],
    ]
    np.testing.assert_allclose(found["label"].answer, [[0.9, 0.1], [0.2, 0.8]])
    assert found["label"].truth.tolist() == [0, 0]
    assert (found["size"].truth.tolist(), found["size"].answer.tolist()) == ([47.0], [[50.0]])
    assert met([("one-1", "2026-11-01", predicted(["a"]))], {"label": {}}) == {}


@pytest.mark.parametrize(
    ("target", "metric", "cells", "value"),
    [
        ("label", "accuracy", ["cat", "dog"], 0.5),
        ("size", "neg_mean_absolute_error", ["44", "52"], -4.0),
        ("signs", "accuracy", ["cough", "cough|fever"], 0.5),
        ("label", "auroc", ["cat", "dog"], 0.5),
        ("label", "auroc", ["cat", "cat"], None),
    ],
)
def test_a_score_is_that_of_its_metric(target, metric, cells, value):
    found = met([("one-1", "2026-11-01", predicted(["a", "b"]))], {target: dict(zip("ab", cells, strict=True))})
    told = point(found[target], metric, SURE)
    assert (told["value"], told["samples"], told["groups"]) == (value, 2, 2)
    assert (told["low"] is None) == (value is None)


def test_a_curve_has_a_point_per_batch_and_day_with_the_interval_of_groups(tmp_path):
    rng = np.random.default_rng(0)
    ids = [[f"{batch}{n}" for n in range(80)] for batch in "ab"]
    sure = [rng.random(80) for _ in ids]
    groups = [f"g{n // 4}" for n in range(80)]
    tables = [
        (f"{batch}-1", f"2026-11-0{number}", predicted(names, label=p, groups=groups))
        for number, (batch, names, p) in enumerate(zip("ba", ids, sure, strict=True), 1)
    ]
    found = met(tables, {"label": {name: "cat" for names in ids for name in names}})["label"]
    told = curve(found, "accuracy", SURE)
    assert list(told["batches"]) == ["b-1", "a-1"]
    assert list(told["days"]) == ["2026-11-01", "2026-11-02"]
    hits = (sure[0] > 0.5).astype(int)
    sums = tally("accuracy", np.zeros(80, int), 1 - hits, np.array(groups, object), 2)
    wanted = interval(sums, SURE.generator("live", "accuracy"), SURE.draws, SURE.tail)
    assert told["batches"]["b-1"] == {"samples": 80, "groups": 20, **wanted.as_json()}
    assert told["all"]["value"] == pytest.approx(np.mean(np.concatenate(sure) > 0.5))
    draw_live(tmp_path / "live.png", "v1.0.0", "label", told, {"value": 0.9, "low": 0.8, "high": 1.0})
    assert (tmp_path / "live.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("live", "falls"),
    [
        ({"value": 0.70, "low": 0.6, "high": 0.75}, True),
        ({"value": 0.79, "low": 0.78, "high": 0.795}, False),  # surely below, but by less than the margin
        ({"value": 0.70, "low": 0.5, "high": 0.85}, False),  # below, but not surely
        ({"value": 0.10, "low": None, "high": None}, False),  # one group tells nothing
        ({"value": None, "low": None, "high": None}, False),
    ],
)
def test_a_version_has_fallen_when_that_is_sure_and_by_more_than_the_margin(live, falls):
    told = fallen({**live, "samples": 50}, {"value": 0.9, "low": 0.8, "high": 1.0}, margin=0.02)
    assert bool(told) == falls
    if falls:
        assert "0.700 [0.600, 0.750] on 50 late labels; when it was promoted, 0.800 at least was measured" in told


def test_a_table_says_what_it_is_of():
    from tasks.score.tables import about

    assert about(pq.ParquetFile(predicted(["a"])))["targets"] == TARGETS
    plain = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), plain)
    assert about(pq.ParquetFile(plain)) == {}
