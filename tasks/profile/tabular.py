"""Rows of a table: JSON bytes {column: text or null} -> float64 [numbers + categories]."""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken, WrongValue
from tasks.profile import refusing

MEASURES = ("filled_share",)
LARGEST = 1_000_000  # bytes
HIGHEST = 1e30  # its square still is a float64, its standardised value a float32


@dataclass(frozen=True)
class Options:
    """What a tabular modality may be told in params.yaml: the columns of metadata.csv that it is made of."""

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse to be made of nothing, or of one column twice."""
        columns = self.numbers + self.categories
        if not columns or len(set(columns)) != len(columns):
            raise WrongValue(f"options numbers and categories must name at least one column, each once; got {list(columns)}")


def decode(data: bytes, options: Options) -> npt.NDArray[np.float64]:
    """Read the cells of one row.

    Returns:
        float64 [numbers + categories], the numbers in their own units, each category as the 48-bit `identity` of its text;
        NaN where a cell is empty. Which identities are known is a fact that the encoder learns from training rows.

    Raises:
        ContractBroken: not such JSON, a column absent, a cell that is no finite number, or no cell filled.
    """
    if len(data) > LARGEST:
        raise ContractBroken(f"row of {len(data)} bytes; at most {LARGEST} are read")
    with refusing("row (JSON of column: text)"):
        row = json.loads(data)
    if not isinstance(row, dict):
        raise ContractBroken(f"row must be a JSON object of column: text, got {type(row).__name__}")
    numbers = [_number(column, _cell(row, column)) for column in options.numbers]
    categories = [_category(_cell(row, column)) for column in options.categories]
    array = np.array(numbers + categories, dtype=np.float64)
    if np.isnan(array).all():
        raise ContractBroken(f"row without a filled cell in {', '.join(options.numbers + options.categories)}")
    return array


def _cell(row: dict[str, Any], column: str) -> str | None:
    if column not in row:
        raise ContractBroken(f"row without column {column!r}; it has {', '.join(sorted(row)) or 'none'}")
    cell = row[column]
    if cell is not None and not isinstance(cell, str):
        raise ContractBroken(f"column {column!r} holds {type(cell).__name__} {cell!r}; expected text or null")
    return cell if cell is not None and cell.strip() else None


def _number(column: str, cell: str | None) -> float:
    if cell is None:
        return math.nan
    try:
        number = math.nan if "_" in cell else float(cell)  # float("1_0") is 10 in Python alone
    except ValueError:
        number = math.nan
    if not abs(number) <= HIGHEST:
        raise ContractBroken(f"column {column!r} holds {cell[:40]!r}, which is no finite number")
    return number


def _category(cell: str | None) -> float:
    return math.nan if cell is None else float(identity(cell.strip()))


def identity(text: str) -> int:
    """A 48-bit number for a text: exact in float64, and two texts of a table never share one in practice."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def measure(array: npt.NDArray[np.float64], options: Options) -> dict[str, float]:
    """Share of the cells that are filled."""
    return {"filled_share": float(np.mean(~np.isnan(array)))}


def near_hash(array: npt.NDArray[np.float64]) -> int | None:
    """None: equal rows are common and mean nothing."""
    return None


def duration_s(array: npt.NDArray[np.float64], options: Options) -> float | None:
    """A row has no duration."""
    return None
