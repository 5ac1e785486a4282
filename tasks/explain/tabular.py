"""Rows of a table: cells; one that is hidden is empty."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.damage.tabular import Row
from tasks.explain import runs
from tasks.explain.tints import colour

SHOWN = 12  # cells, the strongest
LONGEST = 24  # characters of one


def parts(row: Row) -> int:
    """Cells that hold something, or runs of them."""
    filled = row.filled(row.options.columns)
    return int(runs(len(filled))[-1]) + 1 if filled else 0


def hidden(row: Row, gone: npt.NDArray[np.bool_], facts: Mapping[str, Any]) -> Row:
    """Cells emptied."""
    filled = row.filled(row.options.columns)
    lost = {column: None for column, part in zip(filled, runs(len(filled)), strict=True) if gone[part]}
    return replace(row, cells={**row.cells, **lost})


def draw(axes: Any, row: Row, tint: npt.NDArray[np.float64]) -> None:
    """A bar for each of the strongest cells, its content beside it."""
    filled = row.filled(row.options.columns)
    worth = dict(zip(filled, tint[runs(len(filled))], strict=True))
    names = sorted(sorted(filled, key=lambda column: (-abs(worth[column]), column))[:SHOWN], key=filled.index)
    for place, column in enumerate(names):
        axes.barh(place, worth[column], color=colour(float(np.sign(worth[column]))), alpha=0.8)
        said = f"{column}: {(row.cells[column] or '').strip()}"
        said = said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
        axes.text(-1, place, said, fontsize=7, va="center")
    axes.set(xlim=(-1.05, 1.05), ylim=(len(names) - 0.4, -0.6), xticks=[], yticks=[])
    axes.axvline(0, color="black", linewidth=0.5)
