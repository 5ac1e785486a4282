"""Rows of a table: JSON bytes {column: text or null} -> float64 [numbers + times + 5 x tracks + categories]."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tasks.errors import ContractBroken, WrongValue
from tasks.profile import one_by_one, refusing

MEASURES = ("filled_share",)
Values = npt.NDArray[np.float64]
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
    found: npt.NDArray[np.float64] = _table([data], options)[0]
    return found


def decode_many(
    items: Sequence[bytes], options: Options
) -> tuple[Sequence[npt.NDArray[np.float64]] | npt.NDArray[np.float64], dict[int, str]]:
    """What `decode` makes of each, and by place why some are refused: all together, or one by one when one is."""
    refused: dict[int, str] = {}
    try:
        return _table(items, options), refused
    except ContractBroken:
        return list(one_by_one(decode, items, options, refused)), refused


def _table(items: Sequence[bytes], options: Options) -> npt.NDArray[np.float64]:
    """Many rows, column by column: a cell costs a tenth of what it costs alone."""
    if (longest := max(map(len, items), default=0)) > LARGEST:
        raise ContractBroken(f"row of {longest} bytes; at most {LARGEST} are read")
    with refusing("row (JSON of column: text)"):
        rows = [_row(data) for data in items]
        cells = {column: _cells(rows, column) for column in options.columns}
        parts = [_numbers(options.numbers, [cells[column] for column in options.numbers])] if options.numbers else []
        parts += [_times(column, cells[column]) for column in options.times]
        parts += [_tracks(column, cells[column]) for column in options.tracks]
        parts += [_categories(cells[column]) for column in options.categories]
        table = np.ascontiguousarray(np.concatenate(parts).T)
    if np.isnan(table).all(axis=1).any():
        raise ContractBroken(f"row without a filled cell in {', '.join(options.columns)}")
    return table


def _row(data: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(data)
    except orjson.JSONDecodeError:
        row = json.loads(data)  # reads NaN and lone surrogates, and says better what is wrong
    if not isinstance(row, dict):
        raise ContractBroken(f"row must be a JSON object of column: text, got {type(row).__name__}")
    return row


def _cells(rows: Sequence[dict[str, Any]], column: str) -> list[str]:
    """A column's texts without white space around them, "" where there is none."""
    try:
        return ["" if (cell := row[column]) is None else cell.strip() for row in rows]
    except KeyError:
        row = next(row for row in rows if column not in row)
        raise ContractBroken(f"row without column {column!r}; it has {str(sorted(row))[:200]}") from None
    except AttributeError:
        cell = next(row[column] for row in rows if not isinstance(row[column], str | None))
        raise ContractBroken(f"column {column!r} holds {type(cell).__name__} {str(cell)[:40]}; expected text or null") from None


def _numbers(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> Values:
    """All columns of numbers at once: float64 [columns, rows]."""
    every = [cell for column in cells for cell in column]
    try:  # Arrow reads them five times as fast
        values = pa.array([cell or None for cell in every], pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, UnicodeEncodeError):
        values = np.array([_float(cell) for cell in every])
    values = values.reshape(len(columns), -1)
    for column, row in np.argwhere(~(np.abs(values) <= HIGHEST)).tolist():
        if cell := cells[column][row]:
            raise ContractBroken(f"column {columns[column]!r} holds {cell[:40]!r}, which is no finite number")
    return np.asarray(values)


def _float(cell: str) -> float:
    with suppress(ValueError):
        return math.nan if "_" in cell else float(cell)  # float("1_0") is 10 in Python alone
    return math.nan


def _times(column: str, cells: Sequence[str]) -> Values:
    """Of one column, float64 [1, rows]."""
    with suppress(ContractBroken):
        return _numbers([column], [cells])
    for zone in (None, "UTC"):  # Arrow wants to know beforehand whether the texts name a zone
        with suppress(pa.ArrowInvalid):
            moments = pa.array([cell or None for cell in cells], pa.string()).cast(pa.timestamp("us", tz=zone))
            return np.atleast_2d(moments.cast(pa.int64()).to_numpy(zero_copy_only=False) / 1e6)  # null becomes NaN
    if len(cells) > 1:  # they are of several kinds
        return np.concatenate([_times(column, [cell]) for cell in cells], axis=1)
    raise ContractBroken(
        f"column {column!r} holds {cells[0][:40]!r}, which is no time; expected ISO 8601 (2026-11-05T22:00:00Z) or seconds"
    )


def _tracks(column: str, cells: Sequence[str]) -> Values:
    """Of one column, float64 [5, rows]."""
    return np.array([_track(column, cell) for cell in cells]).reshape(-1, TRACK).T


def _categories(cells: Sequence[str]) -> Values:
    """Of one column, float64 [1, rows]."""
    known = {cell: float(identity(cell)) if cell else math.nan for cell in set(cells)}
    return np.array([[known[cell] for cell in cells]])


def _track(column: str, cell: str) -> list[float]:
    """Latitude and longitude of the first place, metres to the east, to the north and along the way.

    Along by the haversine formula (Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984); steps to the east are
    taken at their middle latitude, the short way round the Earth.
    """
    if not cell:
        return [math.nan] * TRACK
    east, north = np.radians(_places(column, cell)).T
    step_east, step_north = (np.diff(east) + np.pi) % (2 * np.pi) - np.pi, np.diff(north)
    half = np.sin(step_north / 2) ** 2 + np.cos(north[:-1]) * np.cos(north[1:]) * np.sin(step_east / 2) ** 2
    moved = [np.cos((north[:-1] + north[1:]) / 2) * step_east, step_north, 2 * np.arcsin(np.sqrt(half.clip(0, 1)))]
    return [*np.degrees([north[0], east[0]]).tolist(), *(EARTH_M * float(steps.sum()) for steps in moved)]


def _places(column: str, cell: str) -> npt.NDArray[np.float64]:
    """Longitude and latitude, degrees: float64 [n, 2]."""
    found = WKT.fullmatch(cell)
    with suppress(ContractBroken):
        pairs = [place.split() for place in found[1].split(",")] if found else []
        if pairs and all(len(pair) == 2 for pair in pairs):
            places = _numbers([column], [[text for pair in pairs for text in pair]]).reshape(-1, 2)
            if (np.abs(places) <= (180, 90)).all():
                return places
    raise ContractBroken(
        f"column {column!r} holds {cell[:40]!r}, which is no track;"
        " expected LINESTRING (longitude latitude, longitude latitude, …) in degrees"
    )


def identity(text: str) -> int:
    """A 48-bit number for a text: exact in float64, and two texts of a table never share one in practice."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def measure(array: npt.NDArray[np.float64], options: Options) -> dict[str, float]:
    """Share of the values that are filled; a track has five."""
    return {"filled_share": float(np.mean(~np.isnan(array)))}


def measure_many(arrays: Sequence[npt.NDArray[np.float64]], options: Options) -> dict[str, list[float]]:
    """The same of each."""
    return {"filled_share": np.mean(~np.isnan(np.asarray(arrays)), axis=1).tolist()}


def near_hash(array: npt.NDArray[np.float64]) -> int | None:
    """None: equal rows are common and mean nothing."""
    return None


def duration_s(array: npt.NDArray[np.float64], options: Options) -> float | None:
    """A row has no duration."""
    return None
