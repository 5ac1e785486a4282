"""Encoders from elsewhere: what comes out is what the model itself gives, and nothing else of it is trusted."""

import dataclasses
import hashlib
import http.server
import json
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tasks.errors import ContractBroken, NoData, WrongValue
from tasks.extract import Card, Loaded, load_encoder, save_encoder
from tasks.extract.__main__ import extract
from tasks.features import read_features
from tasks.files import file_digest
from tasks.params import Modality, check
from tasks.paths import ENCODERS, FEATURES
from tasks.pretrain.__main__ import pretrain
from tasks.pretrain.fetch import fetch
from tasks.profile import kind_module
from tests.extract.models import MODELS, make
from tests.extract.raw import OPTIONS, items, rows, write_params, write_raw

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    found = {}

    def one(name: str) -> Path:
        if name not in found:
            found[name] = make(name, tmp_path_factory.mktemp(name))
        return found[name]

    return one


def digest(folder: Path) -> str:
    names = sorted(p for p in folder.iterdir() if p.suffix in {".json", ".txt", ".safetensors"})
    return hashlib.sha256("".join(f"{file_digest(p, 'sha256')} {p.name}\n" for p in names).encode()).hexdigest()


def modality(kind: str, folder: Path | str, revision: str = "", **encoder: int) -> Modality:
    source = {"model": str(folder), "revision": revision or digest(Path(folder)), **encoder}
    rate = {"sample_rate_hz": 16000} if Path(folder).name.startswith("whisper") else {}
    body = {"kind": kind, **OPTIONS[kind], **rate, "encoder": source}
    return check({"modalities": {"m": body}, "targets": {"t": {}}}).modalities["m"]


def loaded(chosen: Modality, folder: Path) -> Loaded:
    facts, width, network = fetch(chosen, chosen.encoder)
    source = dataclasses.asdict(chosen.encoder)
    save_encoder(folder, Card(chosen.kind, dataclasses.asdict(chosen.options), facts, width, {}, 0, [], source), network)
    return load_encoder(folder)


def averaged(hidden: np.ndarray, there: np.ndarray, count: int) -> np.ndarray:
    """Oracle: neighbours [length, width] averaged to `count` where they are there."""
    parts = zip(np.array_split(hidden, count), np.array_split(there, count), strict=True)
    return np.stack([h[w > 0].mean(axis=0) if w.any() else np.zeros(hidden.shape[1]) for h, w in parts])


def by_itself(name: str, folder: Path, array: np.ndarray, options) -> tuple[np.ndarray, np.ndarray]:
    """What the model gives when it is used as its makers do: hidden [length, width], there [length]."""
    import transformers as t

    model = t.AutoModel.from_pretrained(folder).eval()
    rgb = np.repeat(array, 3, -1) if array.shape[-1] == 1 else array
    with torch.inference_mode():
        if name == "bert":
            text, fixed = "".join(map(chr, array)), {"padding": "max_length", "max_length": 20, "truncation": True}
            words = t.AutoTokenizer.from_pretrained(folder)([text], return_tensors="pt", **fixed)
            return model(**words).last_hidden_state[0].numpy(), words["attention_mask"][0].numpy()
        if name in {"wav2vec", "whisper"}:
            processor = t.AutoFeatureExtractor.from_pretrained(folder)
            padded = {"padding": "max_length", "max_length": 2400} if name == "wav2vec" else {}
            values = processor([array], sampling_rate=options.sample_rate_hz, return_tensors="pt", **padded)
            hidden = (model if name == "wav2vec" else model.encoder)(**values).last_hidden_state[0].numpy()
            return hidden, np.ones(len(hidden))
        processor = t.AutoImageProcessor.from_pretrained(folder)
        if name == "videomae":
            rows = np.linspace(0, len(array) - 1, 4).round().astype(int)
            values = processor(list(rgb[rows].round().astype(np.uint8)), return_tensors="pt")
        else:
            values = processor(images=[rgb], return_tensors="pt")
        hidden = (model.vision_model if name == "clip" else model)(**values).last_hidden_state[0]
    hidden = hidden.flatten(1).T if hidden.ndim == 3 else hidden
    return hidden.numpy(), np.ones(len(hidden))


@pytest.mark.parametrize("name", MODELS)
def test_tokens_are_the_models_own_averaged_over_neighbours(name, models, tmp_path):
    kind, _ = MODELS[name]
    chosen = modality(kind, models(name), tokens=5, pieces=20)
    encoder = loaded(chosen, tmp_path / "encoder")
    data, _ = items(kind, 3)
    features = encoder.encode([*data, None, b"\xff\xfe\xff"])
    assert features.tokens.shape[1:] == encoder.shape
    assert features.mask.any(axis=1).tolist() == [True] * 3 + [False] * 2
    for row, item in enumerate(data):
        array = kind_module(kind).decode(item, chosen.options)
        hidden, there = by_itself(name, models(name), array, chosen.options)
        oracle = averaged(hidden, there, encoder.shape[0])
        np.testing.assert_allclose(features.tokens[row][features.mask[row]], oracle[features.mask[row]], atol=2e-5)
    np.testing.assert_array_equal(encoder.encode(data[::-1]).tokens[::-1], features.tokens[:3])


def test_what_is_not_there_has_no_token(models, tmp_path):
    text = loaded(modality("text", models("bert"), tokens=4, pieces=8), tmp_path / "text")
    assert text.encode([b"tall top", b"the a the a the a the a the a"]).mask.sum(axis=1).tolist() == [1, 4]
    sound = loaded(modality("audio", models("wav2vec"), tokens=6), tmp_path / "audio")
    features = sound.encode(items("audio", 4)[0])
    assert (features.mask.sum(axis=1) < 6).any()
    assert (np.diff(features.mask.astype(int), axis=1) <= 0).all()
    np.testing.assert_allclose(features.time[0], (np.arange(6) + 0.5) * 0.3 / 6, rtol=1e-6)


def test_a_revision_that_is_not_the_folders_is_answered_with_the_right_one(models):
    chosen = modality("image", models("vit"), "0" * 64)
    with pytest.raises(WrongValue, match=f"its files are {digest(models('vit'))}"):
        fetch(chosen, chosen.encoder)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "image", "encoder": {"model": "owner/name", "revision": "main"}}, "must be a commit, 40"),
        ({"kind": "image", "encoder": {"model": "/models/x", "revision": COMMIT}}, "must be the digest of its files, 64"),
        ({"kind": "image", "encoder": {"model": "owner/name", "revision": COMMIT, "tokens": 0}}, "at least 1"),
        ({"kind": "volume", "encoder": {"model": "owner/name", "revision": COMMIT}}, "not volume"),
    ],
)
def test_what_names_no_one_model_is_refused(body, message):
    with pytest.raises(WrongValue, match=message):
        check({"modalities": {"m": body}, "targets": {"t": {}}})


def test_another_sample_rate_is_refused(models):
    body = {"kind": "audio", "sample_rate_hz": 16000, "encoder": {"model": str(models("wav2vec")), "revision": "0" * 64}}
    body["encoder"]["revision"] = digest(models("wav2vec"))
    chosen = check({"modalities": {"m": body}, "targets": {"t": {}}}).modalities["m"]
    with pytest.raises(WrongValue, match="sample_rate_hz must be 8000"):
        fetch(chosen, chosen.encoder)


def copied(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_a_pickle_is_never_read(models, tmp_path):
    folder = copied(models("vit"), tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    chosen = modality("image", folder)
    with pytest.raises(NoData, match="save the model with safetensors"):
        fetch(chosen, chosen.encoder)


def test_damaged_weights_are_refused(models, tmp_path):
    folder = copied(models("vit"), tmp_path / "model")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-40])
    chosen = modality("image", folder)
    with pytest.raises(ContractBroken, match="cannot be used as its encoder"):
        fetch(chosen, chosen.encoder)


def without(folder: Path, part: str) -> Path:
    """Take weights whose names hold `part` out of a model's file."""
    weights = load_file(folder / "model.safetensors")
    left = {name: tensor for name, tensor in weights.items() if part not in name}
    assert len(left) < len(weights)
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_weights_that_are_not_there_are_not_drawn_at_random(models, tmp_path):
    chosen = modality("image", without(copied(models("vit"), tmp_path / "vit"), "pooler"))
    (_, _, first), (_, _, second) = (fetch(chosen, chosen.encoder) for _ in range(2))
    for name, tensor in first.state_dict().items():  # the pooler is not looked at, but it is in the files
        torch.testing.assert_close(tensor, second.state_dict()[name], rtol=0, atol=0)
    chosen = modality("image", without(copied(models("vit"), tmp_path / "half"), "layernorm_before"))
    with pytest.raises(ContractBroken, match=r"it has no weights .*layernorm_before"):
        fetch(chosen, chosen.encoder)


def test_a_model_of_single_pictures_is_refused_for_clips(models):
    chosen = modality("video", models("vit"))
    with pytest.raises(ContractBroken, match="takes one video for several"):
        fetch(chosen, chosen.encoder)


def test_a_models_own_code_is_not_run(models, tmp_path):
    folder, trace = copied(models("vit"), tmp_path / "model"), tmp_path / "trace"
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoModel": "code.Thing", "AutoConfig": "code.Thing"}, "model_type": "stranger"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(trace)!r}, 'w')\nclass Thing: pass\n")
    chosen = modality("image", folder)
    with pytest.raises(ContractBroken, match="cannot be used as its encoder"):
        fetch(chosen, chosen.encoder)
    assert not trace.exists()


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as a download needs: what a commit holds, and its files."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        self.asked.append(self.path)
        name = self.path.split("?")[0].rsplit("/", 1)[1]
        if "/api/models/tiny/vit/" in self.path and COMMIT in self.path:
            files = [
                {"type": "file", "path": p.name, "rfilename": p.name, "size": p.stat().st_size, "oid": "0" * 40}
                for p in sorted(self.folder.iterdir())
            ]
            whole = files if "/tree/" in self.path else {"id": "tiny/vit", "sha": COMMIT, "siblings": files}
            content, kind = json.dumps(whole).encode(), "application/json"
        elif self.path.startswith(f"/tiny/vit/resolve/{COMMIT}/") and (self.folder / name).is_file():
            content, kind = (self.folder / name).read_bytes(), "application/octet-stream"
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RevisionNotFound")
            self.end_headers()
            return
        self.send_response(200)
        for key, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
        }.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def served(models, tmp_path, monkeypatch):
    """A hub on loopback that holds a model, and an empty cache; yields what it was asked for."""
    from huggingface_hub import constants

    folder = copied(models("vit"), tmp_path / "served")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "code.py").write_text("raise SystemExit")
    asked: list[str] = []
    handler = type("Here", (Hub,), {"folder": folder, "asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield asked
        server.shutdown()


def test_the_hub_is_asked_once_when_told_and_never_for_code(served, monkeypatch, tmp_path):
    chosen = modality("image", "tiny/vit", COMMIT)
    bring = partial(fetch, chosen, chosen.encoder)
    with pytest.raises(NoData, match="not in this machine's cache: set HF_HUB_OFFLINE=0"):
        bring()
    assert served == []
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    bring()
    assert not [path for path in served if path.endswith((".bin", ".py"))]
    with pytest.raises(NoData, match=f"the hub has no tiny/vit at {'f' * 40}"):
        fetch(other := modality("image", "tiny/vit", "f" * 40), other.encoder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    served.clear()
    bring()
    assert served == []


def test_a_night_goes_through_with_a_model_from_elsewhere(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params("image")
    body = json.loads(Path("params.yaml").read_text())
    body["modalities"]["thing"]["encoder"] = {"model": str(models("vit")), "revision": digest(models("vit"))}
    Path("params.yaml").write_text(json.dumps(body))
    write_raw(rows("image", 40))
    pretrain("thing")
    first = {path.name: file_digest(path, "sha256") for path in (ENCODERS / "thing").iterdir()}
    assert set(first) == {"encoder.json", "weights.safetensors"}
    extract("thing")
    features = read_features(FEATURES / "thing/night-000.safetensors")
    assert features.tokens.shape == (30, 16, 16)
    assert features.mask.all()
    pretrain("thing")
    assert {path.name: file_digest(path, "sha256") for path in (ENCODERS / "thing").iterdir()} == first
