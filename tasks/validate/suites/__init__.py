"""What a night must hold, one suite of expectations per table; a file per suite."""

from tasks.validate.great import Table
from tasks.validate.night import Night
from tasks.validate.suites import batches, drift, events, leaks, profiles, samples, split
from tasks.validate.verdicts import Sorted


def tables(night: Night, rows: Sorted) -> list[Table]:
    """Every table that is judged, those on which most depends first."""
    found = [
        batches.table(night, rows),
        samples.table(night, rows),
        split.table(night, rows),
        leaks.table(night, rows),
        *profiles.tables(night, rows),
    ]
    return found + [table for table in (events.table(night), drift.table(night)) if table is not None]
