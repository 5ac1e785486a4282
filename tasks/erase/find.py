"""Whether an object of DVC's stores tells of given samples. Known by its first bytes: an object has no name."""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.tables import SAMPLES

MOST_TEXT = 64 << 20  # bytes; our JSON and pages are far smaller
FEATURES = frozenset({"tokens", "mask", "time"})


@dataclass(frozen=True)
class Wanted:
    """Samples that are looked for."""

    samples: frozenset[str]

    def in_text(self, text: str) -> bool:
        """Whether a text names one of them, as a word of its own."""
        words = "|".join(re.escape(sample) for sample in sorted(self.samples))
        return re.search(rf"(?<![\w-])(?:{words})(?![\w-])", text) is not None

    def among(self, samples: Collection[str]) -> bool:
        """Whether any of them is among these."""
        return not self.samples.isdisjoint(samples)


def fingerprint(sample: str) -> str:
    """How tags and the diary name an erased sample."""
    return f"sha256:{hashlib.sha256(sample.encode()).hexdigest()}"


NO, PERHAPS, YES = 0, 1, 2


def tells(file: BinaryIO, size: int, wanted: Wanted) -> int:
    """YES: it holds a row of one of the samples; PERHAPS: its text names one, or it does not say whose it is; NO.

    Args:
        file: open for reading; of a table its footer and the columns that name samples are read.
        size: bytes.
        wanted: the samples.
    """
    head = file.read(16)
    file.seek(0)
    if head[:4] == b"PAR1":
        return YES if wanted.among(table_ids(file)) else NO
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length <= size:
        return _features(file, length, wanted)
    if size > MOST_TEXT:
        return NO
    try:
        return PERHAPS if wanted.in_text(_unescaped(file.read().decode())) else NO
    except UnicodeDecodeError:
        return NO


def table_ids(file: BinaryIO) -> set[str]:
    """The samples that a Parquet table names, in `sample_id` and in the columns that say it of themselves (`tables.SAMPLES`).

    None of one that has no such column or is no table. What people landed says nothing of itself, whatever it is called.
    """
    try:
        table = pq.ParquetFile(file)
        columns = [f.name for f in table.schema_arrow if f.name == "sample_id" or SAMPLES.items() <= (f.metadata or {}).items()]
        batches = table.iter_batches(columns=columns) if columns else ()
        return {sample for batch in batches for column in batch.columns for sample in column.to_pylist()}
    except (pa.ArrowException, OSError):
        return set()


def _features(file: BinaryIO, length: int, wanted: Wanted) -> int:
    try:
        header: dict[str, Any] = json.loads(file.read(8 + length)[8:])
        about = header.pop("__metadata__", {})
        if header.keys() != FEATURES:
            return NO  # a model's weights
        if "sample_id" not in about:
            return PERHAPS
        return YES if wanted.among(json.loads(about["sample_id"])) else NO
    except ValueError:
        return NO


def _unescaped(text: str) -> str:
    """JSON as its strings read, so that an id in it looks as it was given; another text as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return text
