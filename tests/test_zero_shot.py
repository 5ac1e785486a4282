"""Classes that were never seen are told by their descriptions; what the shared space is not for is refused."""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.bundle import Bundle
from tasks.errors import ContractBroken, UnknownName
from tasks.files import read_json
from tasks.params import Source, load
from tasks.paths import BUNDLE, CANDIDATES
from tasks.select.assemble import assemble
from tasks.train.__main__ import train
from tasks.train.domains import Domains
from tasks.zero_shot import zero_shot
from tests import shapes
from tests.extract.models import make
from tests.extract.test_hub import digest
from tests.planted import enter_copy, plant

SPLIT = 0
WORDS = [f"a {colour} {shape}".encode() for colour, shape in shapes.held_out(SPLIT)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    with contextlib.chdir(folder):
        shapes.bundle(SPLIT, 300, epochs=8, width=32)
    return folder


@pytest.fixture
def model(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return Bundle.load(Path("bundle"))


def test_unseen_combinations_are_told_by_what_they_are_made_of(model):
    assert shapes.accuracy(model, SPLIT, 400) > 0.4  # by luck: a quarter


def test_probabilities_are_the_softmax_of_cosines_and_nothing_is_as_near_to_all(model):
    _, raw = shapes.drawn(shapes.PAIRS, 3, [0])
    found = zero_shot(model, {"picture": [*raw["picture"], None, b"broken"]}, {"line": WORDS})
    picture, line = (model.candidate.placed(m, model.encode(m, of)) for m, of in (("picture", raw["picture"]), ("line", WORDS)))
    np.testing.assert_allclose(np.linalg.norm(line, axis=1), 1, atol=1e-6)
    powers = np.exp(model.candidate.network.align.sharpness.item() * picture @ line.T)
    np.testing.assert_allclose(found[:3], powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(found[3:], 1 / len(WORDS))


def test_features_are_standardised_as_the_bundle_does_it(model):
    _, raw = shapes.drawn(shapes.PAIRS, 3, [0])
    shift = {m: np.full((1, width), 5.0, np.float32) for m, width in model.candidate.card.widths.items()}
    moved = replace(model, domains=Domains("site", (), shift, {m: 2 * np.ones_like(of) for m, of in shift.items()}))
    picture, line = (
        model.candidate.placed(m, replace(body, tokens=np.where(body.mask[..., None], (body.tokens - 5) / 2, 0)))
        for m, body in {"picture": model.encode("picture", raw["picture"]), "line": model.encode("line", WORDS)}.items()
    )
    powers = np.exp(model.candidate.network.align.sharpness.item() * picture @ line.T)
    found = zero_shot(moved, {"picture": raw["picture"]}, {"line": WORDS})
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)


def test_any_modality_may_describe_and_several_are_averaged(model):
    _, raw = shapes.drawn(shapes.PAIRS, 4, [1])
    assert (zero_shot(model, raw, raw).argmax(axis=1) == np.arange(4)).all()
    both, one = zero_shot(model, raw, {"line": WORDS}), zero_shot(model, {"picture": raw["picture"]}, {"line": WORDS})
    assert not np.allclose(both, one)
    gone = zero_shot(model, {**raw, "line": [None] * 4}, {"line": WORDS})
    np.testing.assert_allclose(gone, one)


def test_what_cannot_be_told_apart_is_refused(model):
    with pytest.raises(ContractBroken, match=r"a description of each class; .* absent: \[1\]"):
        zero_shot(model, {"picture": []}, {"line": [WORDS[0], b"  "]})
    with pytest.raises(
        ContractBroken, match=r"as many items of each modality, of one at least, got \{'line': 2, 'picture': 1\}"
    ):
        zero_shot(model, {"picture": [b""], "line": WORDS[:2]}, {"line": WORDS})
    with pytest.raises(UnknownName, match="unknown modality 'sound'; known: line, picture"):
        zero_shot(model, {"sound": [b""]}, {"line": WORDS})


def test_a_text_encoder_from_elsewhere_describes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    elsewhere = make("bert", tmp_path / "bert")
    source = Source(str(elsewhere), digest(elsewhere), tokens=4, pieces=8)
    model = shapes.bundle(SPLIT, 60, epochs=1, width=16, text=source)
    assert model.candidate.card.widths == {"line": 16, "picture": 16}
    _, raw = shapes.drawn(shapes.PAIRS, 5, [2])
    found = zero_shot(model, {"picture": raw["picture"]}, {"line": WORDS})
    assert found.shape == (5, len(WORDS))
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    with contextlib.chdir(folder):
        plant(epochs=2)
        for name in ("mean", "plain"):
            train(name)
    return folder


@pytest.mark.parametrize(
    ("name", "says"), [("mean", r"mean was fitted without train\.align"), ("plain/late", "late is no fusion")]
)
def test_a_candidate_without_a_shared_space_is_refused(planted, tmp_path, monkeypatch, name, says):
    enter_copy(planted, tmp_path, monkeypatch)
    assemble(CANDIDATES / name, read_json(CANDIDATES / name / "candidate.json"), load(), {}, BUNDLE)
    with pytest.raises(ContractBroken, match=says):
        zero_shot(Bundle.load(BUNDLE), {"image": [b""]}, {"text": [b""]})
