"""Nights to judge: batches as ingest writes them, and profiles made by hand in place of the profile stage's."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tasks.files import read_json
from tasks.index import partitions, read_index, write_index
from tasks.ingest import ingest
from tasks.params import load
from tasks.paths import INDEX, MANIFEST, PROFILES, RAW, REFERENCE
from tasks.profile.partition import write_profile
from tasks.raw import read_partition
from tasks.validate.__main__ import validate
from tests.ingest.land import write

PARAMS = {
    "modalities": {"audio": {"kind": "audio"}, "image": {"kind": "image"}, "text": {"kind": "text"}},
    "targets": {"label": {"type": "classification"}},
}
COLUMNS = ["sample_id", "group", "split", "label", "audio_file_name", "image_file_name", "text"]


def rows(n=120, start=0, classes="abc"):
    """Good rows: two samples a group, every modality there, every content its own."""
    found = []
    for i in range(start, start + n):
        label = classes[i // 2 % len(classes)]
        files = {"audio_file_name": f"audio/{i}.wav", "image_file_name": f"image/{i}.png"}
        found.append(
            {"sample_id": f"s{i:04d}", "group": f"g{i // 2}", "split": "", "label": label, **files, "text": f"seven {i % 5}"}
        )
    return found


def land(name, table, contents=None):
    """Write a landed batch in the working directory; a file holds its own name unless `contents` says otherwise."""
    columns = list(dict.fromkeys([*COLUMNS, *(key for row in table for key in row)]))
    paths = {row[c] for row in table for c in columns if c.endswith("_file_name") and row[c]}
    files = {path: f"{name} {path}".encode() for path in paths} | (contents or {})
    return write(Path("landing", name), [[row.get(c, "") for c in columns] for row in table], columns, files)


def judge(*batches, broken=(), shift=None, more=None):
    """Ingest batches (the first is the reference), profile them by hand, run the stage.

    Args:
        batches: from `land`.
        broken: sample ids whose image cannot be decoded.
        shift: batch name -> what is added to its image's brightness.
        more: further content of params.yaml.

    Returns:
        validation.json, manifest.json, quarantine as a list of dicts, samples as a DataFrame.
    """
    Path("params.yaml").write_text(yaml.safe_dump({**PARAMS, **(more or {})}))
    params = load()
    done = [ingest(landed, params, RAW).batch for landed in batches]
    write_index(done, INDEX)
    write_index(done[:1], REFERENCE)
    for name in params.modalities:
        profile(name, set(broken) if name == "image" else set(), (shift or {}) if name == "image" else {})
    validate()
    return read()


def profile(name, broken, shift):
    for batch, partition in partitions(read_index(), name):
        found = []
        for row in read_partition(partition).to_pylist():
            ok = row["sample_id"] not in broken
            sha256 = hashlib.sha256(row["data"])
            generator = np.random.default_rng(int.from_bytes(sha256.digest()[:8], "big"))
            value = generator.normal() + shift.get(batch.name, 0.0)
            near = int(generator.integers(-(2**63), 2**63)) if ok and name != "text" else None
            measured = {
                "near": near,
                "duration_s": 1.0 if ok and name == "audio" else None,
                "brightness": value if ok else None,
            }
            reason = "" if ok else "not a readable image: truncated"
            kept = {"sample_id": row["sample_id"], "ok": ok, "reason": reason, "sha256": sha256.hexdigest()}
            found.append(kept | measured)
        kinds = {"ok": pa.bool_(), "near": pa.int64(), "duration_s": pa.float64(), "brightness": pa.float64()}
        names = ["sample_id", "ok", "reason", "sha256", "near", "duration_s", "brightness"]
        schema = pa.schema([(column, kinds.get(column, pa.string())) for column in names])
        path = PROFILES / name / f"{partition.stem}.parquet"
        write_profile(path, pa.Table.from_pylist(found, schema), partition.md5)


def read():
    quarantine = pq.read_table(MANIFEST / "quarantine.parquet").to_pylist()
    samples: pd.DataFrame = pq.read_table(MANIFEST / "samples.parquet").to_pandas()
    return read_json(MANIFEST / "validation.json"), read_json(MANIFEST / "manifest.json"), quarantine, samples


def failed(validation, severity="critical"):
    """Reasons of the failed expectations of one severity, by name."""
    return {e["name"]: e["reason"] for e in validation["expectations"] if not e["success"] and e["severity"] == severity}
