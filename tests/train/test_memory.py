"""What a stage holds at once, as far as numpy and Python tell: features once, all else some rows or one partition at a time."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from tasks.features import Features, write_features
from tasks.paths import FEATURES, MANIFEST
from tasks.tables import write_parquet
from tasks.targets import Output
from tasks.train.inputs import Inputs, aligned, read_few
from tasks.train.logistic import Logistic

PARTITIONS, ROWS, TOKENS, WIDTH = 20, 300, 16, 24
TOGETHER = 1024 * TOKENS * WIDTH * 4  # bytes of the rows that are looked at together, a sixth of all
BATCH = "night-00000000"
OUTPUTS = {"label": Output("classification", ("a", "b"))}


@pytest.fixture(autouse=True)
def samples(tmp_path, monkeypatch):
    """The samples of twenty partitions of features, their ids in another order than the rows."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ids = [f"s{i:05d}" for i in rng.permutation(PARTITIONS * ROWS)]
    for number in range(PARTITIONS):
        part = ids[number * ROWS : (number + 1) * ROWS]
        tokens = rng.standard_normal((ROWS, TOKENS, WIDTH), np.float32)
        tokens[:, :, 0] = np.array([int(sample[1:]) for sample in part])[:, None]  # each row knows its sample
        whole = np.ones((ROWS, TOKENS), np.bool_)
        path = FEATURES / "mri" / f"{BATCH}-{number:03d}.safetensors"
        write_features(path, Features(tokens, whole, whole.astype(np.float32)), "", part)
    count = len(ids)
    label = pa.array(np.arange(count) % 2)
    return pa.table({"sample_id": sorted(ids), "batch": [BATCH] * count, "label": label, "has_mri": [True] * count})


def peak(function):
    """What it answers, and the most bytes that were allocated meanwhile."""
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_of_many_samples_few_are_read(samples):
    table = samples.append_column("split", pa.array(["train"] * len(samples)))
    write_parquet(MANIFEST / "samples.parquet", table)
    read_few(["mri"], "train", "label", 50)  # imports
    found, bytes_held = peak(lambda: read_few(["mri"], "train", "label", 50))
    ids = found.samples["sample_id"].to_pylist()
    assert (len(ids), ids) == (50, sorted(ids))
    np.testing.assert_array_equal(found.features["mri"].tokens[:, 0, 0], [int(sample[1:]) for sample in ids])
    assert bytes_held < TOGETHER  # all would be six times as much


def test_features_are_read_into_one_array_partition_by_partition(samples):
    aligned("mri", samples)  # imports
    features, bytes_held = peak(lambda: aligned("mri", samples))
    answer = features.tokens.nbytes + features.mask.nbytes + features.time.nbytes
    np.testing.assert_array_equal(features.tokens[:, 0, 0], np.arange(len(samples)))
    assert bytes_held < answer + TOGETHER * 2


def test_pooled_features_are_what_a_logistic_regression_holds(samples):
    inputs = Inputs(samples, {"mri": aligned("mri", samples)})
    small = Inputs(samples.slice(0, 100), {"mri": Features(*(part[:100] for part in vars(inputs.features["mri"]).values()))})
    Logistic.fit(small, small, OUTPUTS)  # imports
    fitted, bytes_held = peak(lambda: Logistic.fit(inputs, small, OUTPUTS))
    assert bytes_held < 16 * (WIDTH + 1) * len(inputs) + TOGETHER * 3
    probabilities, bytes_held = peak(lambda: fitted.predict(inputs.features)["label"])
    assert probabilities.shape == (len(inputs), 2)
    assert bytes_held < 16 * (WIDTH + 1) * len(inputs) + TOGETHER * 3


def test_one_modality_of_several_is_no_copy():
    body = Features(np.zeros((4, 1, 2), np.float32), np.ones((4, 1), np.bool_), np.zeros((4, 1), np.float32))
    inputs = Inputs(pa.table({"sample_id": list("abcd")}), {"a": body, "b": body})
    assert inputs.only("a").features["a"].tokens is body.tokens
