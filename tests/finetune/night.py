"""A night with a planted interaction: two pictures a sample, and the label says whether their bars lie the same way."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from tasks.extract.__main__ import extract
from tasks.index import Batch, write_index
from tasks.paths import INDEX, REFERENCE
from tasks.pretrain.__main__ import pretrain
from tasks.profile.__main__ import profile
from tasks.validate.__main__ import validate
from tests.extract.raw import write
from tests.pretrain.bars import _bar

SIDES = ("left", "right")
PARAMS: dict[str, Any] = {
    "modalities": {side: {"kind": "image", "side_px": 16} for side in SIDES},
    "targets": {"label": {}},
    "fusions": ["mean"],
    "split": {"val": 0.2, "test": 0.25},
    "pretrain": {"epochs": 4, "width": 16},
    "train": {"finetune": ["gated"], "width": 16, "batch": 32, "epochs": 25},
    "evaluate": {"bootstrap": 200},
}


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(file, "PNG")
    return file.getvalue()


def land(samples: int, seed: int = 0, missing: float = 0.0) -> dict[str, list[bytes]]:
    """Write a batch into data/1_raw and both indices; returns every sample's pictures, those that are missing in it too."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (2, samples))
    drawn = {side: [png(_bar(int(bit), rng)) for bit in column] for side, column in zip(SIDES, bits, strict=True)}
    has = rng.random((2, samples)) >= missing
    has[0] |= ~has[1]  # never both
    ids = np.array([f"s{i:04d}" for i in range(samples)])
    parts = {}
    for side, there in zip(SIDES, has, strict=True):
        data = [drawn[side][i] for i in np.flatnonzero(there)]
        table = pa.table({"sample_id": ids[there], "file_name": [""] * len(data), "data": pa.array(data, pa.binary())})
        parts[side] = (write(f"{side}/night-00000000-000.parquet", table),)
    nothing = pa.nulls(samples, pa.float64())
    columns = {
        "row": pa.array(range(samples), pa.int64()),
        "sample_id": ids,
        "group": [""] * samples,
        "split": [""] * samples,
        "timestamp": nothing,
        "label": ["same" if alike else "other" for alike in bits[0] == bits[1]],
        "refused": [""] * samples,
        **{f"has_{side}": there for side, there in zip(SIDES, has, strict=True)},
        **{f"{side}_timestamp": nothing for side in SIDES},
    }
    batches = [Batch("night", "0" * 64, {**parts, "samples": (write("samples/night.parquet", pa.table(columns)),)})]
    for index in (INDEX, REFERENCE):
        write_index(batches, index)
    return drawn


def write_params(**changes: dict[str, Any]) -> None:
    """params.yaml; a section's keys are changed, not the section (JSON is YAML)."""
    body = {key: {**PARAMS[key], **value} if isinstance(value, dict) else value for key, value in changes.items()}
    Path("params.yaml").write_text(json.dumps(PARAMS | body))


def encoded() -> None:
    """Every stage up to features."""
    for side in SIDES:
        profile(side)
    validate()
    for side in SIDES:
        pretrain(side)
        extract(side)
