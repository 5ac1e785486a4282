"""Small raw samples of every kind in which the class can be seen, and the files that ingest would have written of them."""

import io
import json
import wave
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tasks.files import file_digest
from tasks.index import Batch, Partition, write_index
from tasks.ingest.partitions import GROUP_BYTES, GROUP_ROWS
from tasks.paths import INDEX, RAW, REFERENCE

CLASSES = ("high", "low")
OPTIONS = {
    "audio": {"max_s": 0.3, "bands": 16},
    "image": {"side_px": 16},
    "pointcloud": {"used_points": 64},
    "tabular": {"numbers": ["size"], "categories": ["colour"], "times": ["when"], "tracks": ["way"]},
    "text": {"max_chars": 40},
    "timeseries": {"channels": 2, "rate_hz": 50},
    "video": {"side_px": 8, "rate_hz": 5, "max_s": 1.0},
    "volume": {"side": 8},
}


def image(label: str, rng: np.random.Generator) -> bytes:
    pixels = rng.normal(80, 40, (16, 16))
    pixels[: 8 if label == "high" else 16 :, 4:8] += 90 if label == "high" else 20
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def audio(label: str, rng: np.random.Generator) -> bytes:
    n = int(rng.integers(1200, 2400))
    sound = np.sin(2 * np.pi * (1500 if label == "high" else 500) * np.arange(n) / 8000) + rng.normal(0, 1, n)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes((sound * 3000).clip(-32768, 32767).astype("<i2").tobytes())
    return file.getvalue()


def text(label: str, rng: np.random.Generator) -> bytes:
    words = {"high": ["tall", "top", "upper", "tower"], "low": ["flat", "deep", "bottom", "cellar"]}[label]
    return " ".join(rng.choice([*words, "the", "a"], 4)).encode()


def timeseries(label: str, rng: np.random.Generator) -> bytes:
    t = int(rng.integers(40, 200))
    series = rng.normal(0, 1, (t, 2)) + 1.5 * np.sin(np.arange(t) * (2.0 if label == "high" else 0.4))[:, None]
    file = io.BytesIO()
    np.save(file, series.astype(np.float32))
    return file.getvalue()


def tabular(label: str, rng: np.random.Generator) -> bytes:
    size = None if rng.random() < 0.1 else f"{rng.normal(2 if label == 'high' else 0, 1):.3f}"
    row = {"colour": str(rng.choice(["red", "green", "blue"])), "size": size}
    row["when"] = f"2026-11-05T{rng.integers(24):02d}:00:00Z"
    row["way"] = f"LINESTRING (13 52, 13.{rng.integers(9)} 52)" if rng.random() < 0.9 else None
    return json.dumps(row, sort_keys=True).encode()


def pointcloud(label: str, rng: np.random.Generator) -> bytes:
    n = int(rng.integers(40, 120))
    points = rng.normal(size=(n, 3)) * [1, 1, 2.5 if label == "high" else 0.5] + rng.normal(0, 1, 3)
    file = io.BytesIO()
    np.save(file, points.astype(np.float32))
    return file.getvalue()


def video(label: str, rng: np.random.Generator) -> bytes:
    t = int(rng.integers(10, 30))
    frames = rng.normal(80, 20, (t, 12, 12))
    for number in range(t):  # a bar that rises, or one that sinks
        at = (number if label == "high" else -number) // 3 % 12
        frames[number, at : at + 3] += 90
    file = io.BytesIO()
    np.save(file, frames.clip(0, 255).astype(np.uint8))
    return file.getvalue()


def volume(label: str, rng: np.random.Generator) -> bytes:
    voxels = rng.normal(0, 0.5, (8, 10, 12))
    voxels[: 4 if label == "high" else 8, 3:7, 4:8] += 2 if label == "high" else 1
    file = io.BytesIO()
    np.save(file, voxels.astype(np.float32))
    return file.getvalue()


MAKE = {make.__name__: make for make in (audio, image, pointcloud, tabular, text, timeseries, video, volume)}


def items(kind: str, count: int, seed: int = 0) -> tuple[list[bytes], list[str]]:
    """Raw samples and their labels, each sample from a generator of its own."""
    labels = [CLASSES[number % 2] for number in range(count)]
    return [MAKE[kind](label, np.random.default_rng([seed, i])) for i, label in enumerate(labels)], labels


def write_params(kind: str, name: str = "thing", **pretrain: object) -> None:
    """params.yaml with one modality, in the current folder (JSON is YAML)."""
    body = {
        "modalities": {name: {"kind": kind, **OPTIONS[kind]}},
        "targets": {"label": {}},
        "split": {"val": 0.0},
        "pretrain": {"epochs": 3, "batch": 16, "width": 8, **pretrain},
    }
    Path("params.yaml").write_text(json.dumps(body))


def write_raw(rows: list[dict], name: str = "thing", per_partition: int = 30) -> list[Batch]:
    """Write a batch into data/1_raw and both indices, as ingest does.

    Args:
        rows: each with `sample_id`, `data` (None: no such modality), `label` (None: unlabelled), `split`, `refused`;
            maybe `size` or `grams`.
        name: of the modality.
        per_partition: rows of a partition.
    """
    has = [row for row in rows if row["data"] is not None and not row["refused"]]
    cut = [has[at : at + per_partition] for at in range(0, len(has), per_partition)]
    made = []
    for number, part in enumerate(cut):
        columns = {"sample_id": [r["sample_id"] for r in part], "file_name": [""] * len(part)}
        columns["data"] = pa.array([r["data"] for r in part], pa.binary())
        made.append(write(f"{name}/night-{number:03d}.parquet", pa.table(columns)))
    samples = pa.table(
        {
            "row": pa.array(range(len(rows)), pa.int64()),
            "sample_id": [r["sample_id"] for r in rows],
            "group": [""] * len(rows),
            "split": [r["split"] for r in rows],
            "timestamp": pa.array([None] * len(rows), pa.float64()),
            "label": pa.array([r["label"] for r in rows], pa.string()),
            f"has_{name}": [r["data"] is not None for r in rows],
            f"{name}_timestamp": pa.array([None] * len(rows), pa.float64()),
            "refused": [r["refused"] for r in rows],
        }
    )
    for other in {"size", "grams"} & set(rows[0]):  # a second target
        samples = samples.append_column(other, pa.array([r[other] for r in rows], pa.string()))
    batches = [Batch("night", "0" * 64, {name: tuple(made), "samples": (write("samples/night.parquet", samples),)})]
    for index in (INDEX, REFERENCE):
        write_index(batches, index)
    return batches


def write(path: str, table: pa.Table) -> Partition:
    """Write a partition below data/1_raw, cut as ingest does."""
    (RAW / path).parent.mkdir(parents=True, exist_ok=True)
    words, row_bytes = [name for name in table.column_names if name != "data"], table.nbytes // table.num_rows
    rows = max(1, GROUP_BYTES // max(1, row_bytes))
    pq.write_table(table, RAW / path, min(rows, GROUP_ROWS), compression="zstd", use_dictionary=words)
    return Partition(path, table.num_rows, file_digest(RAW / path, "md5"))


def rows(kind: str, count: int = 60, seed: int = 0) -> list[dict]:
    """Rows for `write_raw`; two in three are given as train, the others as test."""
    made = zip(*items(kind, count, seed), strict=True)
    return [
        {"sample_id": f"s{i:03d}", "data": data, "label": label, "split": "test" if i % 3 == 2 else "train", "refused": ""}
        for i, (data, label) in enumerate(made)
    ]
