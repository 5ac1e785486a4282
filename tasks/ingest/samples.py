"""The sample table's rows: columns that Nightloom knows, then the user's others as text."""

import re
from typing import Any

import pyarrow as pa

from tasks.errors import ContractBroken
from tasks.ingest.rows import Content
from tasks.ingest.table import CELL, Line
from tasks.ingest.times import seconds
from tasks.params import Params

SHOWN = 1000  # characters kept of a cell that was too long
SAFE = re.compile(r"[A-Za-z][A-Za-z0-9_ .-]{0,63}")
OURS = frozenset({"batch", "row", "sample_id", "group", "split", "timestamp", "refused"})


def schema(columns: tuple[str, ...], params: Params) -> pa.Schema:
    """The columns of a batch's sample table (see `tasks.raw.read_samples`)."""
    text = pa.string()
    fields = [("row", pa.int64()), ("sample_id", text), ("group", text), ("split", text), ("timestamp", pa.float64())]
    fields += [(target, text) for target in params.targets]
    for name in params.modalities:
        fields += [(f"has_{name}", pa.bool_()), (f"{name}_timestamp", pa.float64())]
    return pa.schema([*fields, ("refused", text), *((name, text) for name in others(columns, params))])


def others(columns: tuple[str, ...], params: Params) -> list[str]:
    """The user's other columns that are kept: safely named, and never a name that is or may become one of ours."""
    taken = {*OURS, *params.targets, *params.modalities}
    return [name for name in columns if SAFE.fullmatch(name) and name.lower() not in taken and not _reserved(name.lower())]


def _reserved(name: str) -> bool:
    return name.startswith("has_") or name.endswith(("_timestamp", "_file_name"))


def sample(line: Line, contents: dict[str, Content], columns: tuple[str, ...], params: Params) -> dict[str, Any]:
    """One row of the sample table; blanks around a group or a label are no part of it.

    Args:
        line: the row of metadata.csv.
        contents: its modalities, none when it was refused.
        columns: of metadata.csv.
        params: names the targets and the modalities.
    """
    cells = {name: cell if len(cell) <= CELL else cell[:SHOWN] for name, cell in line.cells.items()}
    row: dict[str, Any] = {name: cells.get(name, "") for name in ("sample_id", "group", "split")}
    row |= {"group": row["group"].strip(), "row": line.number, "refused": line.refused, "timestamp": _time(cells, "timestamp")}
    row |= {target: cells[target].strip() or None for target in params.targets}
    for name in params.modalities:
        row |= {f"has_{name}": name in contents, f"{name}_timestamp": _time(cells, f"{name}_timestamp")}
    return row | {name: cells[name] for name in others(columns, params)}


def _time(cells: dict[str, str], column: str) -> float | None:
    try:
        return seconds(cells.get(column, ""))
    except ContractBroken:  # the row is refused for it, and kept
        return None
