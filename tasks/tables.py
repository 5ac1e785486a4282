"""Tables as Parquet, and probabilities as columns of them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import ContractBroken
from tasks.files import write_bytes


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table under its final name, whole."""
    write_bytes(path, parquet_content(table))


def parquet_content(table: pa.Table) -> bytes:
    """A table as a Parquet file: the same bytes for the same table."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def probability_columns(target: str, probabilities: npt.NDArray[np.float64]) -> dict[str, pa.Array]:
    """Probabilities [n, C] as the columns `<target>__<class index>` of a table."""
    return {f"{target}__{index}": pa.array(column) for index, column in enumerate(probabilities.T)}


def read_probabilities(table: pa.Table, target: str, classes: int) -> npt.NDArray[np.float64]:
    """Probabilities float64 [n, C] from what `probability_columns` wrote; null becomes NaN.

    Raises:
        ContractBroken: the table has not exactly one column per class.
    """
    wanted = [f"{target}__{index}" for index in range(classes)]
    found = [name for name in table.column_names if name.rpartition("__")[0] == target]
    if sorted(found) != sorted(wanted):
        raise ContractBroken(f"a table of probabilities must have the columns {wanted} for {classes} classes, got {found}")
    columns = [table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in wanted]
    return np.stack(columns, axis=1)
