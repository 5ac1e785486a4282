"""Parts of the samples that are looked at apart: a model may be good on average and bad where it counts.

Each value of the columns that `validate.slices` names and of `validate.domain`, each modality's absence, and each class where
the metric tells something within one.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.tables import truth
from tasks.targets import Output

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
        cells = np.array(samples[column].to_pylist(), object)
        found |= {f"{name} = {value}": cells == value for value in sorted(set(cells.tolist()) - {"", None})}
    for column in samples.column_names:
        if column.startswith("has_"):
            found[f"without {column.removeprefix('has_')}"] = ~samples[column].to_numpy()
    if metric == "accuracy" and not (output.is_number or output.is_set):
        labels = truth(samples[target])
        found |= {f"{target} = {name}": labels == place for place, name in enumerate(output.classes)}
    parts = {name: rows for name, rows in found.items() if rows.any() and not rows.all()}
    return dict(sorted(parts.items(), key=lambda item: -int(item[1].sum()))[:MOST])
