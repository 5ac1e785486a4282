"""Batches of events: about whom."""

import pandas as pd

from tasks.validate.great import Check, Table, gxe
from tasks.validate.night import Night


def table(night: Night) -> Table | None:
    """One row per batch of events; None where there is none. Withdrawn samples are counted and never named."""
    batches = [batch.key for batch in night.batches if not batch.of_samples]
    if not batches:
        return None
    unknown = night.events.groupby("batch")["unknown"].sum().reindex(batches, fill_value=0)
    check = Check(
        "events about unknown samples",
        "warning",
        gxe.ExpectColumnValuesToBeBetween,
        {"column": "unknown", "min_value": 0, "max_value": 0},
        "none in any batch",
        "they are kept and hold once their samples land; are the ids right?",
    )
    return Table(
        "events", pd.DataFrame({"batch": batches, "unknown": unknown.astype(int).to_numpy()}), [check], index=("batch",)
    )
