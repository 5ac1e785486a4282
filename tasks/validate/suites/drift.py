"""New batches beside the reference."""

import pandas as pd

from tasks.validate.great import Check, Table, gxe
from tasks.validate.night import Night


def table(night: Night, distances: pd.DataFrame) -> Table | None:
    """The distances of `drift.drift`; None where there is nothing to compare."""
    if distances.empty:
        return None
    most = night.params.validate.drift_warning
    check = Check(
        "distance to the reference",
        "warning",
        gxe.ExpectColumnValuesToBeBetween,
        {"column": "distance", "min_value": 0.0, "max_value": most},
        f"a Kolmogorov-Smirnov distance of at most {most:g}",
        "look at the batch; if the world has changed, move the reference, or let a shadow run try what is newer",
    )
    return Table(
        "drift", distances[["batch", "modality", "column", "distance"]], [check], index=("batch", "modality", "column")
    )
