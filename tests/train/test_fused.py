"""Where candidates of each kind decide: what their answers are made of there, by numpy."""

import contextlib
import shutil

import numpy as np
import pytest
import torch

from tasks.features import Features
from tasks.paths import CANDIDATES
from tasks.standard import softmax
from tasks.train.__main__ import train
from tasks.train.candidates import LOADERS, load_candidate
from tasks.train.card import KINDS
from tasks.train.fusions.pool import slot
from tasks.train.inputs import present, read_inputs
from tasks.train.late import EXACT, SURE
from tests.planted import plant

MODALITIES = ("audio", "image", "text")
FOLDERS = ("concat", "mean", "plain/alone-image", "plain/late", "plain/logistic")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        plant(samples=160, epochs=3, numbers=True)
        for name in ("concat", "mean", "plain"):
            train(name)
    return folder


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, fitted):
    shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def test_every_kind_says_where_samples_lie():
    assert set(LOADERS) == set(KINDS)
    assert all(callable(load.__self__.fused) for load in LOADERS.values())


@pytest.mark.parametrize("folder", FOLDERS)
def test_places_are_finite_and_what_stands_where_the_mask_is_off_changes_nothing(folder):
    candidate, features = load_candidate(CANDIDATES / folder), read_inputs(MODALITIES, "test").features
    found = candidate.fused(features)
    assert (found.dtype, len(found)) == (np.float64, len(features["audio"].mask))
    assert np.isfinite(found).all()
    assert found.std(axis=0).max() > 0
    holes = {m: Features(np.where(b.mask[..., None], b.tokens, np.nan), b.mask, b.time) for m, b in features.items()}
    np.testing.assert_array_equal(candidate.fused(holes), found)


@pytest.mark.parametrize("folder", FOLDERS[:3])
def test_a_networks_heads_are_linear_there(folder):
    candidate, features = load_candidate(CANDIDATES / folder), read_inputs(MODALITIES, "test").features
    head = candidate.network.heads[slot("label")]
    with torch.inference_mode():
        logits = candidate.fused(features) @ head.weight.double().numpy().T + head.bias.double().numpy()
    there = np.logical_or.reduce([present(features[m]) for m in candidate.card.modalities])
    np.testing.assert_allclose(softmax(logits)[there], candidate.predict(features)["label"][there], atol=1e-5)


def test_a_regression_weighs_features_as_its_answers_do():
    candidate, features = load_candidate(CANDIDATES / "plain/logistic"), read_inputs(MODALITIES, "test").features
    weights = {t: candidate.tensors[f"{t}.weight"].astype(float) for t in ("label", "size")}
    size = np.linalg.norm(np.concatenate(list(weights.values())), axis=0)
    found = candidate.fused(features)
    logits = found @ (weights["label"] / size).T + candidate.tensors["label.bias"]
    np.testing.assert_allclose(softmax(logits), candidate.predict(features)["label"], atol=1e-6)
    for tensor in ("label.weight", "size.weight"):
        candidate.tensors[tensor] = candidate.tensors[tensor].copy()
        candidate.tensors[tensor][:, 3] = 0
    wanted = found.copy()
    wanted[:, 3] = 0
    np.testing.assert_allclose(candidate.fused(features), wanted)


def test_late_answers_are_what_the_parts_add_up_to():
    late, features = load_candidate(CANDIDATES / "plain/late"), read_inputs(MODALITIES, "test").features
    found = late.fused(features).reshape(-1, len(MODALITIES), 5)  # four classes, then the value
    there = np.stack([present(features[m]) for m in MODALITIES], axis=1)  # [n, modalities]
    assert (found[~there] == 0).all()
    settings = [late.parts[m].card.settings for m in MODALITIES]
    prior = np.log(np.maximum([of["prior"]["label"] for of in settings], SURE))
    shared = (there[:, :, None] * prior).sum(axis=1) / there.sum(axis=1)[:, None]
    np.testing.assert_allclose(softmax(found[:, :, :4].sum(axis=1) + shared), late.predict(features)["label"], atol=1e-9)
    np.testing.assert_allclose(found[:, :, :4].sum(axis=2), 0, atol=1e-9)

    mean, deviation = (np.array([of["statistics"]["size"][key] for of in settings]) for key in ("mean", "deviation"))
    error = np.array([late.card.settings["trust"][m]["size"]["error"] for m in MODALITIES])
    precision, before = 1 / np.clip(error, EXACT * deviation, deviation) ** 2, 1 / deviation**2
    told = found[:, :, 4] / deviation + precision * mean - before * mean
    common = (there * before).sum(axis=1) / there.sum(axis=1)
    centre = (there * before * mean).sum(axis=1) / there.sum(axis=1)
    wanted = ((there * told).sum(axis=1) + centre) / ((there * (precision - before)).sum(axis=1) + common)
    np.testing.assert_allclose(late.predict(features)["size"][:, 0], wanted, rtol=1e-9)
