"""Predictions of samples, beside DVC's objects: their rows go, those of the others stay (see tasks/score/shelf.py)."""

import json
import tempfile
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.erase.find import Wanted, table_ids
from tasks.files import write_json
from tasks.score.shelf import Shelf
from tasks.tables import write_parquet


def holding(shelf: Shelf, wanted: Wanted) -> list[str]:
    """The files that hold one of the samples."""
    found = []
    for path in shelf.files():
        with shelf.open(path) as file:
            table = path.endswith(".parquet")
            if wanted.among(table_ids(file)) if table else wanted.in_text(json.dumps(json.load(file), ensure_ascii=False)):
                found.append(path)
    return found


def drop(shelf: Shelf, paths: Collection[str], samples: Collection[str]) -> None:
    """Take the samples out of these files: their rows, and from what was counted the reasons, which may name them."""
    gone = pa.array(sorted(samples), pa.string())
    with tempfile.TemporaryDirectory(prefix="nightloom-erase-") as folder:
        kept = Path(folder, "kept")
        for path in paths:
            with shelf.open(path) as file:
                if path.endswith(".parquet"):
                    table = pq.read_table(file)
                    write_parquet(kept, table.filter(pc.invert(pc.is_in(table["sample_id"], gone))))
                else:
                    write_json(kept, {**json.load(file), "reasons": []})
            shelf.replace(path, kept)
