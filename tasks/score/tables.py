"""The tables of predictions, written as rows come: one that is not whole never has its final name."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ABOUT = b"nightloom"  # key of a table's metadata
QUARANTINE = pa.schema([("sample_id", pa.string()), ("row", pa.int64()), ("modality", pa.string()), ("reason", pa.string())])


class Writer:
    """A Parquet file that grows by a row group at a time; with none it is a table without rows."""

    def __init__(self, path: Path, schema: pa.Schema, about: Mapping[str, Any] | None = None) -> None:
        """Take where to write, the columns, and what `about` will say of the table."""
        self._schema = schema.with_metadata({ABOUT: json.dumps(about, sort_keys=True)} if about else {})
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd", write_page_checksum=True)

    def add(self, columns: Mapping[str, Any]) -> None:
        """Append rows."""
        self._file.write_table(pa.table(dict(columns), schema=self._schema))

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def about(file: pq.ParquetFile) -> dict[str, Any]:
    """What a table says of itself; nothing when it says nothing."""
    found: dict[str, Any] = json.loads((file.schema_arrow.metadata or {}).get(ABOUT, b"{}"))
    return found
