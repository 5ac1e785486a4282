"""How far a batch lies from what a model was trained on, and how far chance alone would take a batch of its size.

Numbers are compared by the two-sample Kolmogorov-Smirnov distance, what is decided by the total variation distance: both are
0 … 1. Samples of one group are alike, so a batch of few groups lies far off by chance. What chance comes to is therefore
measured: groups of the reference are drawn, whole, until they make a batch of the size, and compared with the others. All
columns are looked at together, as in Westfall, Young, "Resampling-Based Multiple Testing", 1993: of batches like the reference
one in twenty is warned about, however many columns there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.params import keyed_seed
from tasks.validate.drift import FEWEST

DRAWS = 400
TAIL = 0.05  # of batches like the reference that are warned about
APART = 0.9  # distance of columns that have next to nothing in common
GROUP = "group"  # the column that is not compared

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """One column of a batch beside the reference.

    Attributes:
        column: e.g. `audio rms`, or a target.
        distance: 0 … 1.
        chance: the distance that chance alone exceeds in at most `tail` of batches, in any of the columns.
        drifted: whether that is exceeded, and by a distance that is worth telling.
        factor: what the values would have to be multiplied with to be the reference's, where nothing else differs; else None.
    """

    column: str
    distance: float
    chance: float
    drifted: bool
    factor: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As facts hold it."""
        return {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(self).items()}

    def line(self) -> str:
        """For people."""
        return f"{self.column} lies {self.distance:.2f} from the training data; chance reaches {self.chance:.2f}"


def drifts(tables: Sequence[tuple[pd.DataFrame, pd.DataFrame]], least: float) -> list[Drift]:
    """Compare tables of one batch, each with its reference: of batches like these one in twenty is told, by any of them."""
    return [found for batch, reference in tables for found in drift(batch, reference, least, TAIL / len(tables))]


def drift(batch: pd.DataFrame, reference: pd.DataFrame, least: float, tail: float = TAIL, seed: int = 0) -> list[Drift]:
    """Compare the columns that both tables have, but for those with fewer than FEWEST values on a side.

    Args:
        batch: `group` ("" where it is not told) and a column per thing that is compared: numbers, NaN where missing, or texts.
        reference: the same of training data.
        least: the smallest distance that is worth telling.
        tail: how many of the batches that are like the reference may be told, by any of the columns.
        seed: of the draws.
    """
    columns = [
        name
        for name in reference.columns
        if name != GROUP and name in batch and min(batch[name].count(), reference[name].count()) >= FEWEST
    ]
    if not columns:
        return []
    drawn = draws(reference[GROUP], *_size(batch), np.random.default_rng(keyed_seed(seed, "drift")))
    by_chance = {name: _by_chance(reference[name], drawn) for name in columns}
    reach = _reach(by_chance, tail)
    found = []
    for name in columns:
        away = distance(batch[name].dropna(), reference[name].dropna())
        factor = _factor(batch[name].dropna(), reference[name].dropna(), max(least, reach[name]))
        found.append(Drift(name, away, reach[name], away > reach[name] and away >= least, factor))
    return found


def _size(batch: pd.DataFrame) -> tuple[int, int]:
    """Rows and groups; a row whose group is not told counts as one."""
    told = batch.loc[batch[GROUP] != "", GROUP]
    return len(batch), told.nunique() + len(batch) - len(told)


def draws(groups: pd.Series, rows: int, most_groups: int, rng: np.random.Generator) -> Flags:
    """Which rows of the reference stand for a batch, DRAWS times: bool [DRAWS, n].

    Whole groups, until they have so many rows or are so many; at most half of all, so that there is something to compare with.
    """
    names, index = np.unique(groups.to_numpy().astype(str), return_inverse=True)
    sizes = np.bincount(index)
    wanted, most = min(rows, len(index) // 2), max(1, min(most_groups, len(names) // 2))
    found = np.zeros((DRAWS, len(index)), np.bool_)
    for draw in found:
        order = rng.permutation(len(names))
        count = min(int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1, most)
        taken = np.zeros(len(names), np.bool_)
        taken[order[:count]] = True
        draw[:] = taken[index]
    return found


def distance(here: pd.Series, there: pd.Series) -> float:
    """Of two columns without gaps: Kolmogorov-Smirnov's of numbers, total variation of texts."""
    both = pd.concat([here, there], ignore_index=True)
    flags = np.zeros((1, len(both)), np.bool_)
    flags[0, : len(here)] = True
    return float(_distances(both, flags)[0])


def _by_chance(column: pd.Series, drawn: Flags) -> Floats:
    known = column.notna().to_numpy()
    return _distances(column[known], drawn[:, known])


def _distances(column: pd.Series, drawn: Flags) -> Floats:
    """Distance between the drawn rows and the others, of each draw: [draws]; 0 where either side has none."""
    inside, outside = drawn.sum(axis=1), (~drawn).sum(axis=1)
    both = (inside > 0) & (outside > 0)
    inside, outside = np.maximum(inside, 1)[:, None], np.maximum(outside, 1)[:, None]
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(np.float64)
        order = np.argsort(values, kind="stable")
        last = np.append(np.diff(values[order]) > 0, True)  # of equal values: steps of the distribution end there
        ordered = drawn[:, order]
        gap = np.cumsum(np.where(ordered, 1 / inside, -1 / outside), axis=1)
        return np.asarray(np.where(both, np.abs(gap[:, last]).max(axis=1), 0.0))
    names, index = np.unique(column.to_numpy().astype(str), return_inverse=True)
    each = np.eye(len(names))[index]
    gap = drawn.astype(np.float64) @ each / inside - (~drawn).astype(np.float64) @ each / outside
    return np.asarray(np.where(both, np.abs(gap).sum(axis=1) / 2, 0.0))


def _reach(by_chance: Mapping[str, Floats], tail: float) -> dict[str, float]:
    """Per column the distance that is exceeded in any of them in at most `tail` of the draws."""
    middle = {name: float(values.mean()) for name, values in by_chance.items()}
    spread = {name: float(values.std()) for name, values in by_chance.items()}
    scaled = [(values - middle[name]) / spread[name] for name, values in by_chance.items() if spread[name] > 0]
    steps = float(np.quantile(np.max(scaled, axis=0), 1 - tail, method="higher")) if scaled else 0.0
    return {name: min(1.0, middle[name] + steps * spread[name]) for name in by_chance}


def _factor(here: pd.Series, there: pd.Series, near: float) -> float | None:
    """The factor by which a column is another unit's, or another rate's: multiplied with it, it lies near the reference."""
    if not pd.api.types.is_numeric_dtype(there) or not pd.api.types.is_numeric_dtype(here):
        return None
    ours, theirs = float(here.median()), float(there.median())
    if ours * theirs <= 0 or distance(here, there) < APART:
        return None
    factor = theirs / ours
    return factor if distance(here * factor, there) <= near else None
