"""A bundle predicts from raw inputs, needs no modality in particular, and is refused when anything in it is foreign."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from tasks.bundle import Bundle
from tasks.errors import ContractBroken, NoData, UnknownName
from tasks.features import read_features
from tasks.files import read_json, write_json
from tasks.params import load
from tasks.paths import BUNDLE, FEATURES
from tasks.select.assemble import assemble
from tasks.targets import Output
from tasks.train.__main__ import train
from tests.planted import enter_copy, plant

PLAIN = Path("data/5_models/candidates/plain")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        plant(epochs=4)
        train("plain")
    return folder


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, fitted):
    enter_copy(fitted, tmp_path, monkeypatch)
    bundled("logistic")


def bundled(name):
    assemble(PLAIN / name, read_json(PLAIN / name / "candidate.json"), load(), {}, BUNDLE)
    return BUNDLE


@pytest.mark.parametrize("name", ["logistic", "late", "alone-image"])
def test_raw_inputs_and_their_features_give_the_same(name):
    bundle = Bundle.load(bundled(name))
    features = read_features(FEATURES / "image/2026-11-01-aaaaaaaa-000.safetensors")
    raw = [tokens.tobytes() for tokens in features.tokens]
    expected = bundle.predict({"image": features})["label"]
    np.testing.assert_array_equal(bundle.predict_raw({"image": raw})["label"], expected)
    np.testing.assert_allclose(expected.sum(1), 1)
    assert bundle.targets == {"label": Output("classification", ("cat", "dog", "elk", "fox"))}
    assert bundle.modalities == (("image",) if name == "alone-image" else ("audio", "image", "text"))


def test_none_and_what_cannot_be_decoded_count_as_missing():
    bundle = Bundle.load(BUNDLE)
    whole = np.ones((3, 12), np.float32).tobytes()
    found = bundle.predict_raw({"image": [whole, None, b"broken"], "text": [None, whole, whole]})["label"]
    np.testing.assert_allclose(found[1], found[2])
    np.testing.assert_allclose(found[0], bundle.predict_raw({"image": [whole]})["label"][0])


def test_an_unknown_modality_is_told_with_the_known():
    with pytest.raises(UnknownName, match="unknown modality 'video'; known: audio, image, text"):
        Bundle.load(BUNDLE).predict_raw({"video": [b""]})


def test_no_bundle_is_told():
    with pytest.raises(NoData, match="elsewhere holds no bundle"):
        Bundle.load(Path("elsewhere"))
    Path("empty").mkdir()
    with pytest.raises(NoData, match="empty holds no bundle"):
        Bundle.load(Path("empty"))


def described(**changes):
    write_json(BUNDLE / "bundle.json", {**read_json(BUNDLE / "bundle.json"), **changes})


IMAGE = {"kind": "image", "options": {}}


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda: (BUNDLE / "model.pkl").write_bytes(b"\x80"), r"missing, unknown or linked: model\.pkl"),
        (lambda: (BUNDLE / "fusion/scores.parquet").write_bytes(b""), r"linked: fusion/scores\.parquet"),
        (lambda: (BUNDLE / "encoders/text/encoder.json").unlink(), r"linked: encoders/text/encoder\.json"),
        (lambda: (BUNDLE / "encoders/more").symlink_to("/"), "linked: encoders/more"),
        (lambda: described(extra=1), "exactly the keys"),
        (lambda: described(candidate="mean"), "name other modalities, targets or candidates"),
        (lambda: described(targets={}), "name other modalities, targets or candidates"),
        (lambda: described(modalities={}), "at least one entry"),
        (lambda: described(modalities={"../up": IMAGE}), "must be a name with a kind"),
        (lambda: described(modalities={"image": {"kind": "exe", "options": {}}}), "must be a name with a kind"),
        (lambda: described(modalities={"image": IMAGE}), "is no bundle of image"),
        (lambda: write_json(BUNDLE / "encoders/text/encoder.json", {"kind": "text", "width": 9}), "of kind text and width 12"),
    ],
)
def test_a_foreign_or_damaged_bundle_is_refused(harm, says):
    harm()
    with pytest.raises(ContractBroken, match=says):
        Bundle.load(BUNDLE)


def test_a_part_of_late_fusion_that_was_fitted_on_something_else_is_refused():
    bundled("late")
    path = BUNDLE / "fusion/alone-text/candidate.json"
    card = read_json(path)
    card["targets"]["label"]["classes"][0] = "cow"
    write_json(path, card)
    with pytest.raises(ContractBroken, match="alone-text was fitted on other modalities or targets"):
        Bundle.load(BUNDLE)
