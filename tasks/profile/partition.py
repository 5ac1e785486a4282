"""The profile of one raw partition as a Parquet file: a row per raw row, the md5 of the partition in its metadata."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import ContractBroken
from tasks.files import write_bytes
from tasks.tables import parquet_content


def write_profile(path: Path, table: pa.Table, raw: str) -> None:
    """Write the profile of the raw partition with this md5: a row per raw row."""
    write_bytes(path, parquet_content(table.replace_schema_metadata({"raw": raw})))


def check_profile(path: Path, raw: str, rows: int, schema: pa.Schema) -> None:
    """Hold a profile against the raw partition that it should be of: one of so many rows, with this md5.

    Raises:
        ContractBroken: the file is damaged, or that of another partition or kind.
    """
    content = path.read_bytes()
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ContractBroken(f"{path} is damaged: {error}") from error
    fits = table.num_rows == rows and table.schema.remove_metadata().equals(schema)
    if not fits or parquet_content(table.replace_schema_metadata({"raw": raw})) != content:
        raise ContractBroken(f"{path} is damaged, or the profile of other rows")
