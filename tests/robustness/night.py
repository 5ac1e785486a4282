"""A night with a planted truth: a tone tells the class, the picture beside it tells nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.damage.__main__ import damage
from tasks.extract.__main__ import extract
from tasks.files import write_json
from tasks.index import Batch, write_index
from tasks.paths import INDEX, MANIFEST, RAW, REFERENCE
from tasks.pretrain.__main__ import pretrain
from tasks.probe.__main__ import probe
from tasks.profile.__main__ import profile
from tasks.tables import write_parquet
from tests.extract.raw import CLASSES, OPTIONS, audio, image, write

MODALITIES = ("audio", "image")
NIGHTS = 4
SPLITS = ("train", "test", "train", "val", "test", "train")  # of groups
PARAMS: dict[str, Any] = {
    "modalities": {m: {"kind": m, **OPTIONS[m]} for m in MODALITIES},
    "targets": {"label": {}},
    "fusions": ["mean"],
    "pretrain": {"epochs": 4, "width": 16},
    "train": {"width": 16, "epochs": 10, "finetune": []},
    "evaluate": {"bootstrap": 200},
    "robustness": {"samples": 40, "levels": [0.5, 1.0]},
}


def write_params(**changes: dict[str, Any]) -> None:
    """params.yaml; a section's keys are changed, not the section (JSON is YAML)."""
    body = {key: {**PARAMS[key], **value} if key in PARAMS else value for key, value in changes.items()}
    Path("params.yaml").write_text(json.dumps(PARAMS | body))


def land(samples: int, nights: int = NIGHTS) -> list[Batch]:
    """Write batches of equal length into data/1_raw and both indices, and the manifest; every ninth sample has no picture."""
    batches = []
    for night in range(nights):
        numbers = range(night * samples // nights, (night + 1) * samples // nights)
        batches.append(_batch(f"night-{night}", list(numbers)))
    for index in (INDEX, REFERENCE):
        write_index(batches, index)
    table = pa.concat_tables([pq.read_table(RAW / b.partitions["samples"][0].path) for b in batches])
    keys = [b.key for b in batches for _ in range(b.partitions["samples"][0].rows)]
    labels = [None if label is None else CLASSES.index(label) for label in table["label"].to_pylist()]
    columns = {"sample_id": table["sample_id"], "batch": keys, "group": table["group"], "split": table["split"]}
    columns |= {"unlabelled": [False] * len(keys), "timestamp": table["timestamp"], "label": pa.array(labels, pa.int64())}
    write_parquet(MANIFEST / "samples.parquet", pa.table(columns | {f"has_{m}": table[f"has_{m}"] for m in MODALITIES}))
    write_json(MANIFEST / "manifest.json", {"targets": {"label": {"type": "classification", "classes": list(CLASSES)}}})
    return batches


def _batch(name: str, numbers: list[int]) -> Batch:
    rng = {i: np.random.default_rng([5, i]) for i in numbers}
    labels = {i: CLASSES[i % 2] for i in numbers}
    data = {"audio": {i: audio(labels[i], rng[i]) for i in numbers}}
    data["image"] = {i: image(str(rng[i].choice(CLASSES)), rng[i]) for i in numbers if i % 9}
    parts = {}
    for m, found in data.items():
        columns = {"sample_id": [f"s{i:04d}" for i in found], "file_name": [""] * len(found)}
        table = pa.table({**columns, "data": pa.array(list(found.values()), pa.binary())})
        parts[m] = (write(f"{m}/{name}-00000000-000.parquet", table),)
    nothing = pa.nulls(len(numbers), pa.float64())
    columns = {
        "row": pa.array(range(len(numbers)), pa.int64()),
        "sample_id": [f"s{i:04d}" for i in numbers],
        "group": [f"g{i // 2:04d}" for i in numbers],
        "split": [SPLITS[i // 2 % len(SPLITS)] for i in numbers],
        "timestamp": nothing,
        "label": [labels[i] if i % 7 else None for i in numbers],
        "refused": [""] * len(numbers),
        **{f"has_{m}": [i in found for i in numbers] for m, found in data.items()},
        **{f"{m}_timestamp": nothing for m in data},
    }
    return Batch(name, "0" * 64, {**parts, "samples": (write(f"samples/{name}.parquet", pa.table(columns)),)})


def encoded() -> None:
    """Encoders and features."""
    for m in MODALITIES:
        pretrain(m)
        extract(m)


def damaged() -> None:
    """The probe, and its features, damaged."""
    for m in MODALITIES:
        profile(m)
    probe()
    for m in MODALITIES:
        damage(m)
