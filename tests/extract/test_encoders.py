"""What holds for the encoders of all kinds."""

import dataclasses
import json
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tasks.errors import ContractBroken, NoData
from tasks.extract import BATCH, Card, Loaded, load_encoder, network_module, save_encoder
from tasks.files import folder_digest
from tasks.params import KINDS, check
from tasks.profile import kind_module
from tests.extract.raw import OPTIONS, items

WIDTH = 8


def made(kind: str, seed: int = 0) -> Loaded:
    """An encoder with facts of its kind and weights that are not fitted."""
    options = check({"modalities": {"m": {"kind": kind, **OPTIONS[kind]}}, "targets": {"t": {}}}).modalities["m"].options
    module = network_module(kind)
    facts = module.fit_facts([kind_module(kind).decode(data, options) for data in items(kind, 20)[0]], options)
    torch.manual_seed(seed)
    card = Card(kind, dataclasses.asdict(options), facts, WIDTH, {"t": ["a", "b"]}, 0, [])
    return Loaded(card, module.Encoder(options, facts, WIDTH, 0.5).eval(), module)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_tokens_are_finite_and_few_and_in_the_order_of_time(kind):
    features = made(kind).encode(items(kind, 10)[0])
    assert features.tokens.dtype == np.float32
    assert features.tokens.shape[::2] == (10, WIDTH)
    assert 1 <= features.tokens.shape[1] <= 16
    assert features.mask[:, 0].all()  # a sample that is there has a token
    assert (np.diff(features.mask.astype(int), axis=1) <= 0).all()  # tokens that are off come last
    later = np.diff(features.time, axis=1)[features.mask[:, 1:]]
    assert (later > 0).all() if kind in {"audio", "timeseries", "video"} else (later == 0).all()


def test_what_is_missing_or_broken_has_no_token_and_changes_no_other(kind):
    data, _ = items(kind, 3)
    encoder = made(kind)
    whole, gaps = encoder.encode(data), encoder.encode([data[0], None, b"\xff\xfe\xff", data[1], data[2]])
    np.testing.assert_array_equal(gaps.mask.any(axis=1), [True, False, False, True, True])
    np.testing.assert_array_equal(gaps.tokens[[0, 3, 4]], whole.tokens)
    nothing = encoder.encode([None, b"\xff\xfe\xff"])
    assert nothing.tokens.shape == (2, *whole.tokens.shape[1:])
    assert encoder.encode([]).tokens.shape == (0, *whole.tokens.shape[1:])


def test_neighbours_and_places_change_no_byte(kind):
    data, _ = items(kind, BATCH + 20)
    encoder = made(kind)
    whole = encoder.encode(data)
    np.testing.assert_array_equal(encoder.encode(data[::-1]).tokens[::-1], whole.tokens)
    for number in (0, 7, BATCH + 3):
        np.testing.assert_array_equal(encoder.encode([data[number]]).tokens[0], whole.tokens[number])


def test_what_is_saved_comes_back_and_is_always_the_same_file(kind, tmp_path):
    data, _ = items(kind, 5)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_encoder(tmp_path / name, made(kind).card, made(kind).network)
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    np.testing.assert_array_equal(load_encoder(tmp_path / "one").encode(data).tokens, made(kind).encode(data).tokens)


def test_training_varies_inputs_but_not_their_shape(kind):
    encoder, module = made(kind), network_module(kind)
    options = kind_module(kind).Options(**{k: tuple(v) if isinstance(v, list) else v for k, v in OPTIONS[kind].items()})
    rows = [module.prepare(kind_module(kind).decode(d, options), options, encoder.card.facts) for d in items(kind, 40)[0]]
    inputs = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
    before = {key: values.clone() for key, values in inputs.items()}
    one, same, other = (module.augment(inputs, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert all(torch.equal(inputs[key], before[key]) for key in before)  # it works on copies
    assert {key: values.shape for key, values in one.items()} == {key: values.shape for key, values in inputs.items()}
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)
    assert torch.equal(one["mask"], inputs["mask"])


@pytest.fixture
def folder(tmp_path):
    save_encoder(tmp_path, made("image").card, made("image").network)
    return tmp_path


def edit(folder, change) -> None:
    weights = load_file(folder / "weights.safetensors")
    change(weights)
    save_file(weights, folder / "weights.safetensors")


def widen(weights) -> None:
    weights["layers.0.0.weight"] = torch.zeros(17, 1, 3, 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda weights: weights.pop("layers.0.0.weight"), r"Missing key.*layers\.0\.0\.weight"),
        (lambda weights: weights.update(more=torch.zeros(1)), "Unexpected key.*more"),
        (widen, r"size mismatch for layers\.0\.0\.weight"),
    ],
)
def test_weights_of_another_network_are_refused(folder, change, reason):
    edit(folder, change)
    with pytest.raises(ContractBroken, match=f"no encoder that this code can load: .*{reason}"):
        load_encoder(folder)


def test_weights_that_are_not_finite_are_refused(folder):
    edit(folder, lambda weights: weights["layers.0.0.weight"].fill_(torch.nan))
    with pytest.raises(ContractBroken, match=r"layers\.0\.0\.weight holds NaN or infinity"):
        load_encoder(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", struct.pack("<Q", 2**63), b"\x80\x02cos\nsystem\n"])
def test_hostile_weights_are_refused(folder, content):
    (folder / "weights.safetensors").write_bytes(content)
    with pytest.raises(ContractBroken, match="no encoder that this code can load"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "os"}, "kind 'os' is none of audio, image"),
        ({"kind": "text"}, "no encoder that this code can load"),
        ({"width": 9}, "size mismatch"),
        ({"width": "9"}, "no encoder that this code can load"),
        ({"options": {"side": 3}}, "unexpected keyword argument 'side'"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(folder, change, reason):
    card = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").write_text(json.dumps(card | change))
    with pytest.raises(ContractBroken, match=reason):
        load_encoder(folder)


def test_an_absent_encoder_is_told(tmp_path):
    with pytest.raises(NoData, match=r"encoder\.json is not here"):
        load_encoder(tmp_path)


def test_absent_weights_are_told(folder):
    (folder / "weights.safetensors").unlink()
    with pytest.raises(NoData, match=r"weights\.safetensors is not here"):
        load_encoder(folder)
