"""Rows of a table: numbers that are off, cells that are lost, categories that are written in another way."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.profile.tabular import TRACK, WKT, Options, decode

JITTER = 3.0  # standard deviations of the train split's rows
LOST = 0.9  # share of the cells
RENAMED = 0.9  # share of the categories


@dataclass(frozen=True)
class Row:
    """The cells of a row, and what is known of their columns.

    Attributes:
        cells: column -> text, or None where there is none.
        values: its plain values, float64 [plain], NaN where a cell is empty.
        spread: the standard deviation of each among training rows.
        options: of the modality.
    """

    cells: Mapping[str, str | None]
    values: npt.NDArray[np.float64]
    spread: Sequence[float]
    options: Options

    def filled(self, columns: Sequence[str]) -> list[str]:
        """Those of the columns that hold something."""
        return [column for column in columns if (self.cells[column] or "").strip()]


def read(data: bytes, options: Options, facts: Mapping[str, Any]) -> Row:
    """The cells of one row."""
    values = decode(data, options)
    return Row(json.loads(data), values[: options.plain], facts["deviation"], options)


def write(row: Row) -> bytes:
    """JSON."""
    return json.dumps(row.cells, sort_keys=True).encode()


def jitter(row: Row, level: float, rng: np.random.Generator) -> Row:
    """Numbers and times off by up to three standard deviations of their columns, and tracks moved as a whole."""
    off, options = JITTER * level * rng.standard_normal(len(row.values)), row.options
    values, cells = row.values + off * np.array(row.spread), dict(row.cells)
    for column, value in zip((*options.numbers, *options.times), values, strict=False):
        if not math.isnan(value):
            cells[column] = repr(float(value))
    for place, column in enumerate(options.tracks):
        first = len(options.numbers) + len(options.times) + TRACK * place
        if not math.isnan(values[first]):
            cells[column] = _moved(cells[column] or "", *(values - row.values)[first : first + 2].tolist())
    return replace(row, cells=cells)


def _moved(track: str, north: float, east: float) -> str:
    """A track as WKT, moved by so many degrees; places stay on the Earth."""
    found = WKT.fullmatch(track.strip())
    places = [[float(text) for text in place.split()] for place in (found[1] if found else "").split(",")]
    moved = [((x + east + 180) % 360 - 180, min(max(y + north, -90.0), 90.0)) for x, y in places]
    return f"LINESTRING ({', '.join(f'{x!r} {y!r}' for x, y in moved)})"


def lost(row: Row, level: float, rng: np.random.Generator) -> Row:
    """Cells emptied; one always stays."""
    filled, luck = row.filled(row.options.columns), rng.random(len(row.options.columns))
    chance = dict(zip(row.options.columns, luck, strict=True))
    last = max(filled, key=chance.__getitem__)
    gone = {column: None for column in filled if column != last and chance[column] < LOST * level}
    return replace(row, cells={**row.cells, **gone})


def renamed(row: Row, level: float, rng: np.random.Generator) -> Row:
    """Categories under a name that no training row has."""
    chance = dict(zip(row.options.categories, rng.random(len(row.options.categories)), strict=True))
    changed = {c: f"~{row.cells[c]}" for c in row.filled(row.options.categories) if chance[c] < RENAMED * level}
    return replace(row, cells={**row.cells, **changed})


CORRUPTIONS: Mapping[str, Callable[[Row, float, np.random.Generator], Row]] = {
    "jitter": jitter,
    "lost": lost,
    "renamed": renamed,
}
