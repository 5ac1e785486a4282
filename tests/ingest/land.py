"""Batches to land: written as a user would."""

import csv
from pathlib import Path

from tasks.ingest.landing import Landed, list_batches
from tasks.params import Params, check

HEADER = ["sample_id", "group", "label", "image_file_name", "text"]


def params(**more) -> Params:
    modalities = {"image": {"kind": "image"}, "text": {"kind": "text"}}
    return check({"modalities": modalities, "targets": {"label": {}}, **more})


def write(folder: Path, rows: list[list[str]], header=HEADER, files: dict[str, bytes] | None = None) -> Landed:
    for path, data in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return next(batch for batch in list_batches(str(folder.parent)) if batch.name == folder.name)
