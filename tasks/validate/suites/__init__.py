"""What a night must hold, one suite of expectations per table; a file per suite."""

import pandas as pd

from tasks.validate.great import Table
from tasks.validate.night import Night
from tasks.validate.suites import batches, drift, events, leaks, profiles, samples, split
from tasks.validate.verdicts import Sorted


def tables(night: Night, rows: Sorted, distances: pd.DataFrame) -> list[Table]:
    """Every table that is judged, those on which most depends first; `distances` are those of `drift`."""
    found = [
        batches.table(night, rows),
        samples.table(night, rows),
        split.table(night, rows),
        leaks.table(night, rows),
        *profiles.tables(night, rows),
    ]
    return found + [table for table in (events.table(night), drift.table(night, distances)) if table is not None]
