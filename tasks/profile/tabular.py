"""Rows of a table: JSON bytes {column: text or null} -> float64 [numbers + times + 5 x tracks + categories]."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.errors import ContractBroken, WrongValue
from tasks.profile import refusing

MEASURES = ("filled_share",)
LARGEST = 1_000_000  # bytes
HIGHEST = 1e30  # its square still is a float64, its standardised value a float32
EARTH_M = 6_371_008.8  # mean radius (Moritz, "Geodetic Reference System 1980", 2000)
TRACK = 5  # values of a track
WKT = re.compile(r"(?:POINT|LINESTRING)\s*\(([^()]*)\)", re.I)


@dataclass(frozen=True)
class Options:
    """What a tabular modality may be told in params.yaml: the columns of metadata.csv that it is made of."""

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    times: tuple[str, ...] = ()  # ISO 8601 (UTC when it names no zone), or seconds since 1970
    tracks: tuple[str, ...] = ()  # places in degrees, as WKT: LINESTRING (longitude latitude, …) or POINT (longitude latitude)

    def __post_init__(self) -> None:
        """Refuse to be made of nothing, or of one column twice."""
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise WrongValue(
                "options numbers, categories, times and tracks must name at least one column, each once;"
                f" got {list(self.columns)}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return self.numbers + self.categories + self.times + self.tracks

    @property
    def plain(self) -> int:
        """How many values of a row are numbers, not identities; they come first, numbers before times before tracks."""
        return len(self.numbers) + len(self.times) + TRACK * len(self.tracks)


def decode(data: bytes, options: Options) -> npt.NDArray[np.float64]:
    """Read the cells of one row.

    Returns:
        float64 [plain + categories]: the numbers in their own units, times in seconds since 1970, of each track where it
        begins (latitude, longitude, degrees), how far it leads east and north and how long it is (m), each category as the
        48-bit `identity` of its text; NaN where a cell is empty. Which identities are known is a fact that the encoder
        learns from training rows.

    Raises:
        ContractBroken: not such JSON, a column absent, a cell that is no finite number, time or track, or no cell filled.
    """
    if len(data) > LARGEST:
        raise ContractBroken(f"row of {len(data)} bytes; at most {LARGEST} are read")
    with refusing("row (JSON of column: text)"):
        row = json.loads(data)
        if not isinstance(row, dict):
            raise ContractBroken(f"row must be a JSON object of column: text, got {type(row).__name__}")
        array = _values({column: _cell(row, column) for column in options.columns}, options)
    if np.isnan(array).all():
        raise ContractBroken(f"row without a filled cell in {', '.join(options.columns)}")
    return array


def _values(cells: Mapping[str, str | None], options: Options) -> npt.NDArray[np.float64]:
    values = [_number(column, cells[column]) for column in options.numbers]
    values += [_time(column, cells[column]) for column in options.times]
    values += [value for column in options.tracks for value in _track(column, cells[column])]
    values += [_category(cells[column]) for column in options.categories]
    return np.array(values, dtype=np.float64)


def _cell(row: dict[str, Any], column: str) -> str | None:
    if column not in row:
        raise ContractBroken(f"row without column {column!r}; it has {str(sorted(row))[:200]}")
    cell = row[column]
    if cell is not None and not isinstance(cell, str):
        raise ContractBroken(f"column {column!r} holds {type(cell).__name__} {str(cell)[:40]}; expected text or null")
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


def _time(column: str, cell: str | None) -> float:
    if cell is None:
        return math.nan
    with suppress(ContractBroken):
        return _number(column, cell)
    for zone in (None, "UTC"):  # Arrow wants to know beforehand whether the text names a zone
        with suppress(pa.ArrowInvalid):
            return float(pa.scalar(cell.strip()).cast(pa.timestamp("us", tz=zone)).value / 1e6)
    raise ContractBroken(
        f"column {column!r} holds {cell[:40]!r}, which is no time; expected ISO 8601 (2026-11-05T22:00:00Z) or seconds"
    )


def _track(column: str, cell: str | None) -> list[float]:
    """Latitude and longitude of the first place, metres to the east, to the north and along the way.

    Along by the haversine formula (Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984); steps to the east are
    taken at their middle latitude, the short way round the Earth.
    """
    if cell is None:
        return [math.nan] * TRACK
    east, north = np.radians(_places(column, cell)).T
    step_east, step_north = (np.diff(east) + np.pi) % (2 * np.pi) - np.pi, np.diff(north)
    half = np.sin(step_north / 2) ** 2 + np.cos(north[:-1]) * np.cos(north[1:]) * np.sin(step_east / 2) ** 2
    moved = [np.cos((north[:-1] + north[1:]) / 2) * step_east, step_north, 2 * np.arcsin(np.sqrt(half.clip(0, 1)))]
    return [*np.degrees([north[0], east[0]]).tolist(), *(EARTH_M * float(steps.sum()) for steps in moved)]


def _places(column: str, cell: str) -> npt.NDArray[np.float64]:
    """Longitude and latitude, degrees: float64 [n, 2]."""
    found = WKT.fullmatch(cell.strip())
    with suppress(ValueError, ContractBroken):
        pairs = [[_number(column, text) for text in place.split()] for place in found[1].split(",")] if found else []
        places = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        if len(places) == len(pairs) > 0 and (np.abs(places) <= (180, 90)).all():
            return places
    raise ContractBroken(
        f"column {column!r} holds {cell[:40]!r}, which is no track;"
        " expected LINESTRING (longitude latitude, longitude latitude, …) in degrees"
    )


def _category(cell: str | None) -> float:
    return math.nan if cell is None else float(identity(cell.strip()))


def identity(text: str) -> int:
    """A 48-bit number for a text: exact in float64, and two texts of a table never share one in practice."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def measure(array: npt.NDArray[np.float64], options: Options) -> dict[str, float]:
    """Share of the values that are filled; a track has five."""
    return {"filled_share": float(np.mean(~np.isnan(array)))}


def near_hash(array: npt.NDArray[np.float64]) -> int | None:
    """None: equal rows are common and mean nothing."""
    return None


def duration_s(array: npt.NDArray[np.float64], options: Options) -> float | None:
    """A row has no duration."""
    return None
