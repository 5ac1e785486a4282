"""The fused head in ONNX answers as torch does: any number of samples, any of them lacking modalities."""

import json
import logging
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from tasks.errors import ContractBroken
from tasks.score import export as exporting
from tasks.score.export import Head, export, main, names_of
from tasks.train.fusions import FUSIONS
from tests.score import small

STEPS = {"meter": 3, "photo": 2}  # an export takes longer with each modality


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("torch.onnx"), "level", logging.ERROR)


def answers(content: bytes, names: list[str], given: tuple[torch.Tensor, ...]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {name: tensor.numpy() for name, tensor in zip(names, given, strict=True)})


def some(rows: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Samples of which tokens, whole modalities and, in the last, everything is missing; NaN stands where nothing is."""
    draw = torch.Generator().manual_seed(seed)
    tokens, mask, time = [], [], []
    for number, steps in enumerate(STEPS.values()):
        there = torch.rand(rows, steps, generator=draw) > 0.3
        there[number::5] = False
        there[-1] = rows == 1
        body = torch.randn(rows, steps, small.WIDTH, generator=draw)
        tokens.append(torch.where(there.unsqueeze(-1), body, torch.nan))
        mask.append(there)
        time.append((torch.rand(rows, steps, generator=draw) * 2).round(decimals=1))  # some moments are the same
    return (*tokens, *mask, *time)


@pytest.mark.parametrize(("fusion", "more"), [*((name, {}) for name in FUSIONS), ("mean", {"mapping": "linear"})])
def test_every_fusion_answers_as_torch_does(fusion: str, more: dict[str, str]) -> None:
    candidate = small.head(fusion, tuple(STEPS), **more)
    content = export(candidate, STEPS, {"label": 1.5})
    for rows in (1, 2, 11):
        given = some(rows)
        with torch.inference_mode():
            wanted = Head(candidate.network)(*given)
        found = answers(content, names_of(candidate.network), given)
        assert len(found) == len(small.OUTPUTS)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other.numpy(), atol=1e-5, rtol=1e-5)


def test_the_command_writes_a_bundles_head_and_says_what_it_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, to = small.bundle(tmp_path / "made/bundle", ("photo",)), tmp_path / "head.onnx"
    assert main([str(to), "--bundle", str(bundle.folder)]) == 0
    assert "the head concat of photo" in capsys.readouterr().out
    assert main([str(tmp_path), "--bundle", str(bundle.folder)]) == 2
    assert f"{tmp_path} cannot be written: Is a directory" in capsys.readouterr().err
    session = onnxruntime.InferenceSession(str(to), providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["nightloom"])
    assert about["label"] == {
        "type": "classification",
        "classes": ["cat", "dog", "elk"],
        "prior": [0.5, 0.3, 0.2],
        "temperature": 1.0,
    }
    assert about["size"] == {"type": "regression", "classes": [], "mean": 50.0, "deviation": 10.0}
    assert [output.name for output in session.get_outputs()] == ["label", "signs", "size"]
    sample = small.raw(np.random.default_rng(3))
    features = {m: bundle.encode(m, [sample[m]]) for m in bundle.modalities}
    given = {f"{m}.{part}": getattr(body, part) for m, body in features.items() for part in ("tokens", "mask", "time")}
    logits = session.run(["label"], given)[0].astype(np.float64)
    powers = np.exp(logits - logits.max())
    np.testing.assert_allclose(powers / powers.sum(), bundle.predict(features)["label"], atol=1e-5)


def test_what_cannot_be_told_in_onnx_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_sorted", None)
    with pytest.raises(ContractBroken, match=r"the fusion recurrent of recurrent cannot be told in ONNX: .*sort"):
        export(small.head("recurrent", ("photo",)), STEPS, {"label": 1.5})


def test_a_candidate_that_is_no_network_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    class Late:
        card = small.head("mean").card

    with pytest.raises(ContractBroken, match="mean is no fused network, so there is no ONNX of it"):
        export(Late(), STEPS, {"label": 1.5})
    assert main(["x.onnx", "--bundle", "nowhere"]) == 2
    assert "nightloom: nowhere holds no bundle" in capsys.readouterr().err
