"""bfloat16 multiplies, float32 remembers: what is fitted so is nearly the same, for every fusion and every encoder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from tasks.errors import WrongValue
from tasks.extract import network_module
from tasks.files import read_json
from tasks.params import FUSIONS, KINDS, load
from tasks.paths import CANDIDATES
from tasks.profile import kind_module
from tasks.schema import build
from tasks.steady import full, reduced, require
from tasks.train.__main__ import train
from tasks.train.network import Network
from tests.extract.raw import OPTIONS, items, write_params
from tests.planted import plant


def gradient(network, answer):
    """Of a loss of a network's answers, as one vector; the share of it that is another with bfloat16."""
    found = []
    for precision in ("fp32", "bf16"):
        network.zero_grad()
        with reduced(precision, "cpu"):
            answers = answer()
        wanted = torch.randn(answers.shape, generator=torch.Generator().manual_seed(1))
        (full(answers) * wanted).sum().backward()
        assert all(p.grad.dtype == torch.float32 for p in network.parameters() if p.grad is not None)
        found.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    return ((found[0] - found[1]).norm() / found[0].norm()).item()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_gradient_of_a_fusion_is_nearly_that_of_float32(fusion):
    generator = torch.Generator().manual_seed(0)
    network = Network(fusion, {"audio": 12, "image": 8}, {"label": 4}, 16, 2, 0.0)
    network.initialise(0)
    tokens = {"audio": torch.randn(40, 300, 12, generator=generator), "image": torch.randn(40, 5, 8, generator=generator)}
    mask = {m: torch.rand(x.shape[:2], generator=generator) < 0.8 for m, x in tokens.items()}
    time = {m: torch.arange(x.shape[1]).expand(x.shape[:2]) / 10 for m, x in tokens.items()}
    assert 0 < gradient(network, lambda: network(tokens, mask, time)["label"]) < 0.03


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"volume"}))
def test_the_gradient_of_an_encoder_is_nearly_that_of_float32(kind):
    options = build(kind_module(kind).Options, OPTIONS[kind], kind)
    arrays = [kind_module(kind).decode(data, options) for data in items(kind, 16)[0]]
    module = network_module(kind)
    facts = module.fit_facts(arrays, options)
    torch.manual_seed(0)
    network = module.Encoder(options, facts, 16, 0.0)
    prepared = [module.prepare(array, options, facts) for array in arrays]
    seen = {key: torch.from_numpy(np.stack([row[key] for row in prepared])) for key in prepared[0]}
    assert 0 < gradient(network, lambda: network(seen)) < 0.15  # some units lie so near 0 that they are off in one


def test_volumes_are_refused_where_torch_computes_them_wrongly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params("volume", precision="bf16")
    with pytest.raises(WrongValue, match=r"pretrain.precision bf16 needs a GPU where volumes. encoders are fitted \(thing\)"):
        load()
    Path("params.yaml").write_text(json.dumps(json.loads(Path("params.yaml").read_text()) | {"device": "cuda"}))
    assert load().pretrain.precision == "bf16"


def test_a_head_fitted_so_is_as_good_and_its_weights_are_float32(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plant(numbers=True)
    params = yaml.safe_load(Path("params.yaml").read_text())
    losses = []
    for precision in ("fp32", "bf16"):
        params["train"]["precision"] = precision
        Path("params.yaml").write_text(yaml.safe_dump(params))
        train("mean")
        losses.append(min(row["val_loss"] for row in read_json(CANDIDATES / "mean/candidate.json")["curve"]))
        assert {a.dtype for a in load_file(CANDIDATES / "mean/weights.safetensors").values()} == {np.dtype("float32")}
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    params["train"]["precision"] = "fp16"
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(WrongValue, match=r"train.precision must be one of fp32, bf16, got 'fp16'"):
        load()


@pytest.mark.parametrize(("device", "found"), [("cuda", 0), ("cuda:1", 0), ("cuda:1", 1)])
def test_a_device_that_is_not_there_is_named(monkeypatch, device, found):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    with pytest.raises(WrongValue, match=rf"device is {device}, and torch can use {found} GPU\(s\) here: set `device: cpu`"):
        require(device)
    require("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    require(device)
