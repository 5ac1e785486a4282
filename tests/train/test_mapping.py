"""Gaps that are filled with what other modalities tell: maps against scikit-learn, what fills, what is kept and reported."""

import contextlib
import shutil

import numpy as np
import pytest
import torch
import yaml
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, top_k_accuracy_score

from tasks.bundle import Bundle
from tasks.evaluate.__main__ import evaluate
from tasks.evaluate.missing import recall
from tasks.features import read_features
from tasks.files import folder_digest, read_json
from tasks.params import PARAMS, load
from tasks.paths import BUNDLE, CANDIDATES, CHECKPOINTS, FEATURES, REPORTS
from tasks.select.__main__ import select
from tasks.select.assemble import assemble
from tasks.train.__main__ import train
from tasks.train.candidates import load_candidate
from tasks.train.fusions import FUSIONS
from tasks.train.inputs import read_inputs
from tasks.train.mapping import LOSSES, MAPS, Filling
from tasks.train.network import Network
from tests.planted import enter_copy, plant
from tests.train.worlds import accuracy, fitted, inputs

NAMES = ("audio", "image", "text")
BATCH, STEPS, WIDTH = 6, 3, 8


def related(count):
    """An image, a text that is a straight line of it with a little noise, and a sound that has nothing to do with either."""
    rng, law = np.random.default_rng(count), np.random.default_rng(7)
    image = 3 + 2 * rng.normal(size=(count, 5))
    text = image @ law.normal(size=(5, 4)) + 1 + 0.1 * rng.normal(size=(count, 4))
    return (image[:, 0] > 3).astype(np.int64), {"audio": rng.normal(size=(count, 5)), "image": image, "text": text}


def means(candidate, test):
    found, _ = candidate.network.means(
        {m: torch.from_numpy(body.tokens) for m, body in test.features.items()},
        {m: torch.from_numpy(body.mask) for m, body in test.features.items()},
    )
    return {m: vectors.detach().numpy() for m, vectors in found.items()}


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("kind", sorted(MAPS))
def test_a_planted_line_is_found_and_nothing_where_there_is_nothing(kind, loss):
    made = [related(count) for count in (320, 100, 200)]
    if loss != "mse":  # fewer maps are enough
        made = [(labels, {m: tokens[m] for m in ("image", "text")}) for labels, tokens in made]
    teaching, val, test = (inputs(*one) for one in made)
    knobs = {"missing": "mapped", "mapping": kind, "mapping_loss": loss, "epochs": 30, "learning_rate": 0.02}
    found = fitted(teaching, val, **knobs)
    seen, held = means(found, teaching), means(found, test)
    oracle = LinearRegression().fit(seen["image"], seen["text"])
    told = found.network.filling.between("image", "text")(torch.from_numpy(held["image"])).detach().numpy()
    best = r2_score(held["text"], oracle.predict(held["image"]))
    assert r2_score(held["text"], told) > best - (0.02 if loss == "mse" else 0.2)
    if (kind, loss) == ("linear", "mse"):
        line = found.network.filling.between("image", "text")
        np.testing.assert_allclose(line.scale.item() * line.function.weight.detach().numpy(), oracle.coef_, atol=0.03)
    assert found.network.filling.between("image", "text").trust > 5
    assert loss != "mse" or found.network.filling.between("audio", "text").trust < 1.1  # that of the mean alone, or none


def test_recall_is_scikit_learns_and_equals_come_in_any_order():
    rng = np.random.default_rng(0)
    own = rng.normal(size=(40, 3))
    told = own + rng.normal(size=own.shape)
    near = (told / np.linalg.norm(told, axis=1, keepdims=True)) @ (own / np.linalg.norm(own, axis=1, keepdims=True)).T
    found = recall(told, own, (1, 5, 10))
    assert found == {str(k): pytest.approx(top_k_accuracy_score(np.arange(40), near, k=k)) for k in (1, 5, 10)}
    alike = np.tile(own[:1], (8, 1))  # eight times the same text: one in eight by luck
    assert recall(alike, alike, (1, 5, 10)) == {"1": 1 / 8, "5": 5 / 8, "10": 1.0}


def network(fusion, names=NAMES):
    made = Network(fusion, dict.fromkeys(names, WIDTH), {"label": 3}, width=8, heads=2, dropout=0.0, mapping="linear")
    made.initialise(0)
    for name, parameter in made.named_parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name)))
    for number, m in enumerate(sorted(names)):
        for other in set(names) - {m}:
            made.filling.between(m, other).trust.fill_(1.0 + number)
    return made.eval()


def tokens_of():
    torch.manual_seed(0)
    tokens = {m: torch.randn(BATCH, STEPS, WIDTH) for m in NAMES}
    mask = {m: torch.ones(BATCH, STEPS, dtype=torch.bool) for m in NAMES}
    time = {m: torch.arange(STEPS).expand(BATCH, STEPS).float() for m in NAMES}
    mask["text"][0] = mask["text"][1] = mask["audio"][1] = mask["image"][2, 1:] = False
    for m in NAMES:
        mask[m][3] = False  # a sample without anything
    return tokens, mask, time


def test_one_token_is_told_by_those_that_are_there_as_far_as_they_are_trusted():
    tokens, mask, time = tokens_of()
    made = network("mean")
    whole, on, when, rows = made.filled(tokens, mask, time)
    average = {m: (tokens[m] * mask[m][..., None]).sum(1) / mask[m].sum(1)[:, None] for m in NAMES}
    told = {m: made.filling.between(m, "text")(average[m]).detach() for m in ("audio", "image")}
    torch.testing.assert_close(whole["text"][0, 0], (1 * told["audio"][0] + 2 * told["image"][0]) / 3)
    torch.testing.assert_close(whole["text"][1, 0], told["image"][1])
    assert on["text"].sum(1).tolist() == [1, 1, 3, 0, 3, 3]
    assert {m: torch.nonzero(where)[:, 0].tolist() for m, where in rows.items()} == {"audio": [1], "image": [], "text": [0, 1]}
    assert when["text"][0, 0] == 1.0  # the middle of 0, 1 and 2 s
    assert torch.equal(made.train().filled(tokens, mask, time)[3]["text"], torch.arange(BATCH) == 0)  # every other row


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_what_stands_in_a_gap_the_clock_the_order_and_other_samples_change_nothing(name):
    tokens, mask, time = tokens_of()
    made = network(name)
    with torch.inference_mode():
        wanted = made(tokens, mask, time)["label"]
        filled = {m: torch.where(mask[m].unsqueeze(-1), tokens[m], float("nan")) for m in NAMES}
        seconds = {m: torch.where(mask[m], time[m] + 64, float("nan")) for m in NAMES}
        one = ({m: x[1:2] for m, x in part.items()} for part in (tokens, mask, time))
        turned = (dict(reversed(part.items())) for part in (tokens, mask, time))
        assert torch.isfinite(wanted).all()
        if name != "attention":  # its tokens know the time itself
            torch.testing.assert_close(made(filled, mask, seconds)["label"], wanted)
        torch.testing.assert_close(made(filled, mask, time)["label"], wanted)
        torch.testing.assert_close(made(*one)["label"], wanted[1:2])
        torch.testing.assert_close(network(name, NAMES[::-1])(*turned)["label"], wanted)
        made.filling.marks["of_text"][0] += 5.0
        changed = (made(tokens, mask, time)["label"] - wanted).abs().amax(1) > 1e-6
    assert changed.tolist() == [True, True, False, False, False, False]


def test_a_modality_that_nobody_tells_stays_missing():
    tokens, mask, _ = tokens_of()
    vectors = {m: body.mean(1) for m, body in tokens.items()}
    filling = Filling("mlp", dict.fromkeys(NAMES, WIDTH), 4).eval()  # not fitted: no map is trusted
    assert not any(rows.any() for rows in filling(vectors, {m: on.any(1) for m, on in mask.items()})[1].values())


def test_few_pairs_teach_no_map_and_the_others_are_fitted(capsys):
    gone = {"text": np.arange(600) > 0}
    teaching, val = inputs(*related(600), gone=gone), inputs(*related(200))
    filling = fitted(teaching, val, missing="mapped", epochs=2).network.filling
    assert filling.between("image", "text").trust == filling.between("text", "image").trust == 0
    assert accuracy(fitted(teaching, val, missing="mapped", epochs=2), val, "text") > 0.5


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    with contextlib.chdir(folder):
        plant(epochs=6)
        asked(missing="mapped")
        for name in ("concat", "mean", "plain"):
            train(name)
        select()
    return folder


@pytest.fixture
def night(planted, tmp_path, monkeypatch):
    shutil.copytree(planted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def asked(**knobs):
    params = yaml.safe_load(PARAMS.read_text())
    params["train"] |= knobs
    PARAMS.write_text(yaml.safe_dump(params))


@pytest.mark.usefixtures("night")
def test_the_same_bytes_twice_and_in_any_order_and_every_knob_is_another_training(capsys):
    first, plain = (folder_digest(CANDIDATES / name) for name in ("mean", "plain"))
    plant(epochs=6, modalities=("text", "image", "audio"))
    asked(missing="mapped")
    CHECKPOINTS.mkdir(parents=True)
    train("mean")
    assert folder_digest(CANDIDATES / "mean") == first
    for knobs in ({"mapping_loss": "cosine"}, {"mapping": "mlp"}, {"missing": "masked"}):
        capsys.readouterr()
        asked(**knobs)
        train("mean")
        assert "is of another training; starts afresh" in capsys.readouterr().out
    train("plain")
    assert folder_digest(CANDIDATES / "plain") == plain  # these never fill


def test_a_bundle_fills_gaps_too(planted, tmp_path, monkeypatch):
    enter_copy(planted, tmp_path, monkeypatch)
    assemble(CANDIDATES / "mean", read_json(CANDIDATES / "mean/candidate.json"), load(), {}, BUNDLE)
    features = read_features(FEATURES / "image/2026-11-01-aaaaaaaa-000.safetensors")
    found = Bundle.load(BUNDLE).predict_raw({"image": [tokens.tobytes() for tokens in features.tokens]})["label"]
    candidate = load_candidate(CANDIDATES / "mean")
    np.testing.assert_array_equal(found, candidate.predict({"image": features})["label"])
    assert not np.allclose(found, candidate.masked().predict({"image": features})["label"])


@pytest.mark.usefixtures("night")
def test_every_fusion_of_a_night_has_the_same_maps():
    first, second = (load_candidate(CANDIDATES / name).network.filling.maps.state_dict() for name in ("concat", "mean"))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.usefixtures("night")
def test_the_report_says_what_was_filled_what_is_found_and_what_is_lost():
    evaluate()
    scores, test = read_json(REPORTS / "evaluate/scores.json"), read_inputs(NAMES, "test")
    assert set(scores["missing"]) == {"concat", "mean"}
    found = scores["missing"]["mean"]
    used = {(pair["from"], pair["to"]) for pair in found["recall"]["test"] if pair["used"]}
    there = {m: body.mask.any(1) for m, body in test.features.items()}
    for m in NAMES:
        told = np.logical_or.reduce([there[o] & ((o, m) in used) for o in NAMES if o != m])
        assert found["filled"][m] == (~there[m] & told).sum()
    assert len(found["recall"]["val"]) == len(found["recall"]["test"]) == 6
    for pair in found["recall"]["test"]:
        assert pair["samples"] == (there[pair["from"]] & there[pair["to"]]).sum()
        assert pair["chance"]["5"] == pytest.approx(5 / pair["samples"])
        assert 0 <= pair["recall"]["1"] <= pair["recall"]["5"] <= pair["recall"]["10"] <= 1
    candidate, whole = load_candidate(CANDIDATES / "mean"), np.logical_and.reduce(list(there.values()))
    rest = {m: body for m, body in test.features.items() if m != "text"}
    right = [
        (of.predict(seen)["label"].argmax(1) == test.labels("label"))[whole].mean()
        for of, seen in ((candidate, test.features), (candidate, rest), (candidate.masked(), rest))
    ]
    lost = found["without"]["text"]
    assert lost["mapped"]["value"] == pytest.approx(right[0] - right[1])
    assert lost["masked"]["value"] == pytest.approx(right[0] - right[2])
    assert lost["gained"]["value"] == pytest.approx(right[1] - right[2])
    assert all(body["low"] <= body["value"] <= body["high"] for body in lost.values())
