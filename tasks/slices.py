"""Parts of the samples that are looked at apart: a model may be good on average and bad where it counts.

Each value of the columns that `validate.slices` names and of `validate.domain`, each modality's absence, and each class where
the metric tells something within one. A column of many numbers, an age or a distance, is cut at its quartiles.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.tables import truth
from tasks.targets import Output, number

SHARES = (0.25, 0.5, 0.75)  # of the samples, below which a column of numbers is cut
VALUES = 12  # a column of more, all of them numbers, is cut
COLUMN = "slice {}"  # of data/3_manifest/samples.parquet; no target or modality has a blank in its name
MOST = 50  # the largest ones; what has a value of its own in every sample is no slice

Rows = npt.NDArray[np.bool_]


def slices(samples: pa.Table, columns: Iterable[str], target: str, output: Output, metric: str) -> dict[str, Rows]:
    """Name -> which of the samples, bool [n], the largest first; none that holds all samples.

    Args:
        samples: rows of the manifest.
        columns: `validate.slices`.
        target: whose classes are looked at.
        output: what is answered for it.
        metric: of classes only accuracy means something within one.
    """
    found: dict[str, Rows] = {}
    named = {name: COLUMN.format(name) for name in columns}
    named |= {"domain": "domain"} if "domain" in samples.column_names else {}
    for name, column in sorted(named.items()):
        found |= _of_column(name, ["" if cell is None else cell for cell in samples[column].to_pylist()])
    for column in samples.column_names:
        if column.startswith("has_"):
            found[f"without {column.removeprefix('has_')}"] = ~samples[column].to_numpy()
    if metric == "accuracy" and not (output.is_number or output.is_set):
        labels = truth(samples[target])
        found |= {f"{target} = {name}": labels == place for place, name in enumerate(output.classes)}
    parts = {name: rows for name, rows in found.items() if rows.any() and not rows.all()}
    return dict(sorted(parts.items(), key=lambda item: -int(item[1].sum()))[:MOST])


def _of_column(name: str, cells: list[str]) -> dict[str, Rows]:
    """Each value, or each quarter of many numbers; an empty cell is in none."""
    values = sorted(set(cells) - {""})
    numbers = np.array([number(cell) for cell in cells])  # NaN: empty, or no number
    known = ~np.isnan(numbers)
    if len(values) <= VALUES or known.sum() < sum(cell != "" for cell in cells):
        of = np.array(cells, object)
        return {f"{name} = {value}": of == value for value in values}
    part = np.searchsorted(np.quantile(numbers[known], SHARES), numbers, side="left")
    quarters = (known & (part == place) for place in range(len(SHARES) + 1))
    return {f"{name} {_span(numbers[rows])}": rows for rows in quarters if rows.any()}


def _span(numbers: npt.NDArray[np.float64]) -> str:
    low, high = numbers.min(), numbers.max()
    return f"= {low:g}" if low == high else f"{low:g} … {high:g}"
