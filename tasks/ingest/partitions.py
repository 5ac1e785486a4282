"""Cuts rows into Parquet files of bounded size, holding one row group in memory at a time."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GROUP_ROWS = 5000
GROUP_BYTES = 16 << 20


class Cutter:
    """Writes `<folder>/000.parquet`, `001.parquet` …; the same rows give the same bytes."""

    def __init__(self, folder: Path, schema: pa.Schema, most_rows: int, most_bytes: int) -> None:
        """Start with no file.

        Args:
            folder: where the files go; made when the first row comes.
            schema: of a row.
            most_rows: of a file.
            most_bytes: of a file's column `data`; one larger row still makes a file of its own.
        """
        self.files: list[tuple[Path, int]] = []  # (path, rows) of each finished file
        self._folder, self._schema = folder, schema
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._writer: pq.ParquetWriter | None = None
        self._group: list[dict[str, Any]] = []
        self._rows = self._bytes = self._group_bytes = 0

    def add(self, row: dict[str, Any]) -> None:
        """Append a row."""
        size = len(row.get("data", b""))
        if self._rows == self._most_rows or (self._rows and self._bytes + size > self._most_bytes):
            self.close()
        self._group.append(row)
        self._rows += 1
        self._bytes += size
        self._group_bytes += size
        if len(self._group) == GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Finish the current file, if there is one."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self.files.append((self._path(), self._rows))
        self._writer = None
        self._rows = self._bytes = 0

    def _path(self) -> Path:
        return self._folder / f"{len(self.files):03d}.parquet"

    def _flush(self) -> None:
        if not self._group:
            return
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Bytes of media repeat nowhere: a dictionary of them would only cost memory.
            words = [name for name in self._schema.names if name != "data"]
            self._writer = pq.ParquetWriter(self._path(), self._schema, compression="zstd", use_dictionary=words)
        self._writer.write_table(pa.Table.from_pylist(self._group, self._schema))
        self._group, self._group_bytes = [], 0
