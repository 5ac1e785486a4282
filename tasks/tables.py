"""Tables as Parquet, and what models answer as columns of them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import ContractBroken
from tasks.files import write_bytes
from tasks.targets import Output

SAMPLES = {b"holds": b"sample_id"}  # said of a column, beside `sample_id`, in which samples are named: they may be erased
UNLABELLED = -100  # the number of no class; torch's cross-entropy leaves these out


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table under its final name, whole."""
    write_bytes(path, parquet_content(table))


def parquet_content(table: pa.Table) -> bytes:
    """A table as a Parquet file: the same bytes for the same table."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def answer_columns(target: str, answer: npt.NDArray[np.float64]) -> dict[str, pa.Array]:
    """An answer [n, width] as the columns `<target>__<number>` of a table: a probability per class, or the value."""
    return {f"{target}__{index}": pa.array(column) for index, column in enumerate(answer.T)}


def without(target: str, modality: str) -> str:
    """What an answer to a target that was given without a modality is called: no target has a blank in its name."""
    return f"{target} without {modality}"


def read_answer(table: pa.Table, target: str, output: Output) -> npt.NDArray[np.float64]:
    """An answer float64 [n, width] from what `answer_columns` wrote; null becomes NaN.

    Raises:
        ContractBroken: the table has not exactly the columns of such an answer.
    """
    wanted = [f"{target}__{index}" for index in range(output.width)]
    found = [name for name in table.column_names if name.rpartition("__")[0] == target]
    if sorted(found) != sorted(wanted):
        raise ContractBroken(f"a table of answers must have the columns {wanted} for {target}, a {output.type}, got {found}")
    columns = [table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in wanted]
    return np.stack(columns, axis=1)


def truth(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """A target's column of the manifest; `labelled` tells which rows are empty.

    Returns:
        int64 [n], class indices; int64 [n, classes], 0 or 1 for each of several labels; or float64 [n], values.
    """
    if pa.types.is_list(column.type):
        width = max((len(row) for row in column.to_pylist() if row is not None), default=1)
        return np.array([row or [UNLABELLED] * width for row in column.to_pylist()], np.int64).reshape(-1, width)
    if pa.types.is_floating(column.type):
        return np.array(column.fill_null(np.nan).to_numpy(), dtype=np.float64)
    return np.array(column.fill_null(UNLABELLED).to_numpy(), dtype=np.int64)


def labelled(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which rows of a `truth` are not empty: bool [n]."""
    first = values[:, 0] if values.ndim == 2 else values
    return np.asarray(~np.isnan(first) if first.dtype.kind == "f" else first != UNLABELLED)


def decided(answer: npt.NDArray[np.float64], output: Output) -> npt.NDArray[Any]:
    """What an answer [n, width] says, comparable with `truth`.

    The most probable class int64 [n]; of several labels those that are as likely as not, 0 and 1, int64 [n, classes]; the value
    float64 [n].
    """
    if output.is_set:
        return np.asarray(answer >= 0.5, dtype=np.int64)
    return np.asarray(answer[:, 0] if output.is_number else answer.argmax(axis=1))
