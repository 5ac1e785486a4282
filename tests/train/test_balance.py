"""Rare classes count or come as often as common ones while a head is fitted; answers keep to the train split's shares."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from tasks.params import PARAMS
from tasks.paths import CANDIDATES, MANIFEST
from tasks.tables import write_parquet
from tasks.train.__main__ import train
from tasks.train.balance import Balance, recalibration, weights
from tasks.train.candidates import load_candidate
from tasks.train.inputs import read_inputs, read_outputs
from tasks.train.logistic import Logistic
from tasks.train.network import Network
from tests.planted import plant

SAMPLES = MANIFEST / "samples.parquet"
MODALITIES = ("audio", "image")
SOME = np.array([0] * 12 + [1] * 3 + [-100] * 5)


def test_weights_are_sklearns_and_a_class_without_a_sample_has_none():
    known = SOME[SOME >= 0]
    np.testing.assert_allclose(
        weights(np.array([0.8, 0.2])), compute_class_weight("balanced", classes=np.array([0, 1]), y=known)
    )
    np.testing.assert_allclose(weights(np.array([0.8, 0.0, 0.2])), [0.625, 0, 2.5])
    np.testing.assert_allclose(recalibration(np.array([0.8, 0.0, 0.2]), np.array([0.5, 0.0, 0.5])), np.log([1.6, 1, 0.4]))


def test_sampling_draws_each_class_as_often_and_leaves_the_unlabelled_as_they_are():
    balance = Balance.of("sampling", {"label": SOME}, {"label": [0.8, 0.2]}, "cpu")
    generator = torch.Generator().manual_seed(0)
    drawn = SOME[np.concatenate([balance.order(20, generator).numpy() for _ in range(500)])]
    shares = [np.mean(drawn == name) for name in (0, 1, -100)]
    np.testing.assert_allclose(shares, [0.375, 0.375, 0.25], atol=0.02)
    np.testing.assert_allclose(balance.shift["label"], np.log([1.6, 0.4]), rtol=1e-6)


def test_with_two_targets_the_shift_is_by_what_was_really_drawn():
    other = np.array([0, 1] * 10)
    priors = {"label": [0.8, 0.2], "other": [0.5, 0.5]}
    balance = Balance.of("sampling", {"label": SOME, "other": other}, priors, "cpu")
    often = np.diff(balance.ends.numpy(), prepend=0)
    drawn = np.array([often[np.equal(SOME, name)].sum() for name in (0, 1)])
    np.testing.assert_allclose(balance.shift["label"], np.log(np.array([0.8, 0.2]) / (drawn / drawn.sum())), rtol=1e-5)


@pytest.fixture
def uneven(tmp_path, monkeypatch):
    """One sample in nine is of the rare class."""
    monkeypatch.chdir(tmp_path)
    plant(
        samples=700,
        epochs=10,
        classes=("common", "rare"),
        modalities=MODALITIES,
        missing=0.0,
        clean=1.0,
        group_size=1,
        strength=0.15,
    )
    table = pq.read_table(SAMPLES)
    kept = [label == 0 or number % 8 == 0 for number, label in enumerate(table["label"].to_pylist())]
    write_parquet(SAMPLES, table.filter(kept))


def fitted(balance):
    params = yaml.safe_load(PARAMS.read_text())
    params["train"]["balance"] = balance
    PARAMS.write_text(yaml.safe_dump(params))
    train("mean")
    return load_candidate(CANDIDATES / "mean").predict(read_inputs(MODALITIES, "test").features)["label"]


@pytest.mark.usefixtures("uneven")
def test_answers_keep_to_the_shares_of_the_train_split(monkeypatch):
    truth, taught = (read_inputs(MODALITIES, split).labels("label") for split in ("test", "train"))
    prior = np.bincount(taught) / len(taught)
    assert prior[1] < 0.15
    plain, found = fitted("none"), {how: fitted(how) for how in ("weights", "sampling")}
    monkeypatch.setattr(Network, "shift", lambda self, logits: None)
    for how, answer in found.items():
        assert answer[:, 1].mean() == pytest.approx(prior[1], abs=0.04)
        assert log_loss(truth, answer) < log_loss(truth, plain) + 0.05
        even = fitted(how)
        assert even[:, 1].mean() > 2 * prior[1]  # as if both were equally frequent
        product = even * prior / 0.5
        np.testing.assert_allclose(answer, product / product.sum(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.usefixtures("uneven")
def test_logistic_regression_is_recalibrated_too():
    teaching, val, test = (read_inputs(MODALITIES, split) for split in ("train", "val", "test"))
    plain, found = (
        Logistic.fit(teaching, val, read_outputs(), how).predict(test.features)["label"] for how in ("none", "weights")
    )
    truth = test.labels("label")
    assert found[:, 1].mean() == pytest.approx(np.mean(teaching.labels("label") == 1), abs=0.04)
    assert log_loss(truth, found) < log_loss(truth, plain) + 0.05
    assert not np.allclose(plain, found, atol=1e-4)
