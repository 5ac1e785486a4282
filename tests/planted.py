"""A small night with a planted truth: manifest, features, encoders' folders and params.yaml, written as the stages would."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

import tasks.bundle
from tasks.features import Features, read_features, read_sample_ids, write_features
from tasks.files import file_digest, write_bytes, write_json
from tasks.index import Batch, Partition, write_index
from tasks.paths import ENCODERS, FEATURES, MANIFEST
from tasks.tables import write_parquet
from tasks.targets import Output
from tasks.train.card import described

KINDS = {"audio": "audio", "image": "image", "text": "text"}
SPLITS = ("train", "val", "test")
OUTPUTS = {"label": "classification", "size": "regression"}
PARAMS = """
seed: {seed}
modalities: {{{modalities}}}
targets: {{{targets}}}
fusions: [concat, mean]
train: {{epochs: {epochs}, patience: 4, width: 16, heads: 2}}
evaluate: {{bootstrap: 400}}
robustness: {{samples: 0}}
gate: {{metric: accuracy, margin: 0.02}}
"""


def plant(
    samples=240,
    classes=("cat", "dog", "elk", "fox"),
    modalities=("audio", "image", "text"),
    strength=0.45,
    clean=1.15,
    missing=0.15,
    tokens=3,
    width=12,
    group_size=2,
    seed=0,
    epochs=15,
    numbers=False,
):
    """Write data/3_manifest, data/4_features, data/5_models/encoders and params.yaml into the current folder.

    Each modality sees the class through noise of its own; `clean` makes train features clearer, as frozen encoders do
    that were fitted on them. Two batches; a share of modalities is missing, never all of a sample. With `numbers` there is
    a second target, `size`: 50 ± 10, seen by each modality through noise of its own; a fifth of either target is empty.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(classes), samples)
    splits = rng.choice(SPLITS, samples // group_size + 1, p=(0.6, 0.2, 0.2))[np.arange(samples) // group_size]
    has = rng.random((samples, len(modalities))) >= missing
    has[~has.any(axis=1), 0] = True
    ids = [f"s{i:05d}" for i in range(samples)]
    targets = {"label": pa.array(truth, pa.int64())}
    if numbers:
        more = np.random.default_rng([seed, 11])
        sizes = more.normal(50, 10, samples)
        empty = more.random((2, samples)) < 0.2
        targets = {"label": pa.array(truth, pa.int64(), mask=empty[0]), "size": pa.array(sizes, pa.float64(), mask=empty[1])}
    batch = np.where(np.arange(samples) < samples // 2, "2026-11-01-aaaaaaaa", "2026-11-02-bbbbbbbb")
    for column, name in enumerate(sorted(modalities)):
        directions = np.random.default_rng([seed, column]).normal(size=(len(classes), width))
        noise = rng.normal(size=(samples, tokens, width))
        scale = strength * np.where(splits == "train", clean, 1.0)
        body = (directions[truth][:, None] * scale[:, None, None] + noise).astype(np.float32)
        if numbers:
            line = np.random.default_rng([seed, 7, column]).normal(size=width)
            body += (strength * line * (sizes - 50)[:, None] / 10)[:, None].astype(np.float32)
        _features(name, ids, batch, has[:, column], body)
        write_json(ENCODERS / name / "encoder.json", {"kind": KINDS.get(name, "tabular"), "width": width})
        write_bytes(ENCODERS / name / "weights.safetensors", b"weights of " + name.encode())
    _manifest(ids, batch, splits, targets, has, sorted(modalities), classes, group_size)
    kinds = ", ".join(f"{m}: {{kind: {KINDS.get(m, 'tabular')}}}" for m in modalities)
    types = ", ".join(f"{name}: {{type: {OUTPUTS[name]}}}" for name in targets)
    Path("params.yaml").write_text(PARAMS.format(seed=seed, modalities=kinds, targets=types, epochs=epochs))


def _features(name, ids, batch, has, body):
    for key in sorted(set(batch)):
        chosen = np.flatnonzero((batch == key) & has)
        mask, time = np.ones(body[chosen].shape[:2], bool), np.zeros(body[chosen].shape[:2], np.float32)
        path = FEATURES / name / f"{key}-000.safetensors"
        write_features(path, Features(body[chosen], mask, time), "0" * 32, [ids[i] for i in chosen])


def _manifest(ids, batch, splits, targets, has, modalities, classes, group_size):
    columns = {
        "sample_id": ids,
        "batch": list(batch),
        "group": [f"g{i // group_size:05d}" for i in range(len(ids))],
        "split": list(splits),
        "unlabelled": [False] * len(ids),
        "timestamp": pa.nulls(len(ids), pa.float64()),
        **targets,
    }
    columns |= {f"has_{m}": list(has[:, i]) for i, m in enumerate(modalities)}
    write_parquet(MANIFEST / "samples.parquet", pa.table(columns))
    write_parquet(MANIFEST / "contents.parquet", pa.table({"sample_id": ids, "content": [f"of {name}" for name in ids]}))
    write_json(MANIFEST / "drift.json", {"columns": []})
    for who in ("champion", "anchor"):
        Path(f"data/{who}_manifest").mkdir(parents=True, exist_ok=True)
    outputs = {name: Output(OUTPUTS[name], tuple(classes) if name == "label" else ()) for name in targets}
    write_json(MANIFEST / "manifest.json", {"targets": described(outputs), "samples": len(ids)})


def plant_raw():
    """Write data/1_raw and its index for the planted features: a raw row's bytes are its tokens, which `Decoder` reads."""
    batches = {}
    for file in sorted(FEATURES.glob("*/*.safetensors")):
        modality, stem, ids = file.parent.name, file.stem, read_sample_ids(file)
        path = Path("data/1_raw", modality, f"{stem}.parquet")
        data = [tokens.tobytes() for tokens in read_features(file).tokens]
        write_parquet(path, pa.table({"sample_id": ids, "file_name": [""] * len(data), "data": data}))
        partition = Partition(f"{modality}/{stem}.parquet", len(data), file_digest(path, "md5"))
        batches.setdefault(stem.rsplit("-", 1)[0], {})[modality] = (partition,)
    write_index([Batch(key[:10], key[11:], parts) for key, parts in sorted(batches.items())])


class Decoder:
    """An encoder that takes a raw row's bytes for its tokens; what is not a whole number of tokens cannot be decoded."""

    def __init__(self, folder, width=12, shift=0.0):
        self.folder, self.width, self.shift = folder, width, shift

    def encode(self, items):
        arrays = [self._tokens(item) for item in items]
        steps = max((len(a) for a in arrays), default=1) or 1
        tokens, mask = np.zeros((len(items), steps, self.width), np.float32), np.zeros((len(items), steps), bool)
        for row, array in enumerate(arrays):
            tokens[row, : len(array)], mask[row, : len(array)] = array + self.shift, True
        return Features(tokens, mask, np.zeros(mask.shape, np.float32))

    def _tokens(self, item):
        whole = item is not None and len(item) % (4 * self.width) == 0
        return np.frombuffer(item if whole else b"", np.float32).reshape(-1, self.width)


def enter_copy(fitted, folder, monkeypatch):
    """Work in a copy of a planted night, whose encoders `Decoder` stands for."""
    shutil.copytree(fitted, folder, dirs_exist_ok=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tasks.bundle, "load_encoder", Decoder)
