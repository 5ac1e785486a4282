"""Which unlabelled samples would be worth a label: those that the model doubts most, one of each group.

Of classes the margin between the two likeliest counts (Scheffer, Decomain, Wrobel, "Active Hidden Markov Models for Information
Extraction", IDA 2001), of several labels how near each is to even, of values how far candidates differ (Seung, Opper,
Sompolinsky, "Query by Committee", COLT 1992). Only what would be train if a label came is asked for, nothing that is held out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.tables import decided
from tasks.targets import Output

MOST = 10_000  # samples that are asked, of the newest batches
SHOWN = 50
SCHEMA = pa.schema(
    [("sample_id", pa.string()), ("batch", pa.string()), ("group", pa.string()), ("says", pa.string()), ("doubt", pa.float64())]
)

Array = npt.NDArray[np.float64]


def asked_for(samples: pa.Table) -> pa.Table:
    """The unlabelled of a manifest's rows that are looked at: MOST of the newest, whose keys sort last."""
    rows = samples.filter(samples["unlabelled"]) if "unlabelled" in samples.column_names else samples.slice(0, 0)
    return rows.sort_by([("batch", "descending"), ("sample_id", "ascending")]).slice(0, MOST).sort_by("sample_id")


def label_next(samples: pa.Table, answer: Array, others: Mapping[str, Array], output: Output) -> pa.Table:
    """The samples that are doubted most, the first one first; columns as in `SCHEMA`.

    Args:
        samples: n unlabelled rows of the manifest.
        answer: float64 [n, width], what the selected candidate answers.
        others: the same of all candidates, by name.
        output: what is answered.
    """
    doubt = _spread(others) if output.is_number else _doubt(answer, output)
    groups = np.array(samples["group"].to_pylist(), object)
    order = np.lexsort((np.arange(len(doubt)), -doubt))  # equals in the order of their ids
    first = np.sort(np.unique(groups[order], return_index=True)[1]) if len(order) else order
    rows = order[first][:SHOWN]
    said = [output.words(choice) for choice in decided(answer, output)]
    columns: dict[str, Any] = {name: samples[name].take(pa.array(rows)) for name in ("sample_id", "batch", "group")}
    return pa.table({**columns, "says": [said[row] for row in rows], "doubt": doubt[rows]}, schema=SCHEMA)


def _doubt(answer: Array, output: Output) -> Array:
    """0: sure, 1: even."""
    if output.is_set:
        return np.asarray(1 - np.abs(2 * answer - 1).mean(axis=1))
    if answer.shape[1] < 2:
        return np.zeros(len(answer))
    best = np.partition(answer, -2, axis=1)[:, -2:]
    return np.asarray(1 - (best[:, 1] - best[:, 0]))


def _spread(others: Mapping[str, Array]) -> Array:
    """How far candidates' values differ, as their standard deviation, in the target's unit."""
    return np.asarray(np.stack([others[name][:, 0] for name in sorted(others)]).std(axis=0))
