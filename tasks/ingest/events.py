"""events.csv: what became known of samples after they landed. Columns: sample_id, event, value.

0001,withdrawn,consent revoked     the sample is in no later manifest, report or prediction; the value is a reason
0002,label,benign                  a late label, or a correction, of the target `label`; empty = unlabelled again
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tasks.ingest.landing import EVENTS, Landed
from tasks.ingest.names import id_problem
from tasks.ingest.samples import others
from tasks.ingest.table import CELL, Line, Table
from tasks.params import Params
from tasks.raw import WITHDRAWN

COLUMNS = ("sample_id", "event", "value")
SHOWN = 1000  # characters kept of a cell that was too long


class Events:
    """The content of one events.csv."""

    def __init__(self, landed: Landed, params: Params) -> None:
        """Read the file and check its columns.

        Raises:
            ContractBroken: as for metadata.csv: absent, too large, not UTF-8, not CSV, a column missing or named twice, …
        """
        self._table, self._targets = Table(landed, EVENTS, params), tuple(params.targets)
        self._table.require([name for name in COLUMNS if name not in self._table.columns], "")
        self._table.check_count(sum(1 for _ in self._table.rows()))
        self._others = [name for name in others(self._table.columns, params) if name.lower() not in COLUMNS]

    def digest(self) -> str:
        """The batch's identity, made as that of a batch of samples which names no file."""
        return hashlib.sha256(f"{self._table.sha256}\n".encode()).hexdigest()

    def lines(self) -> Iterator[Line]:
        """Yield the rows in order, each with what is wrong with it."""
        for number, cells in self._table.rows():
            row = self._table.row(cells)
            problem = self._table.problem(row, len(cells)) or id_problem(row["sample_id"]) or self._unknown(row["event"])
            yield Line(number, row, problem)

    def schema(self) -> pa.Schema:
        """The columns of a batch's table of events."""
        words = [*COLUMNS, "refused", *self._others]
        return pa.schema([("row", pa.int64()), *((name, pa.string()) for name in words)])

    def event(self, line: Line) -> dict[str, Any]:
        """One row of that table."""
        cells = {name: cell if len(cell) <= CELL else cell[:SHOWN] for name, cell in line.cells.items()}
        kept = {name: cells.get(name, "") for name in (*COLUMNS, *self._others)}
        label = {"value": kept["value"].strip()} if kept["event"] in self._targets else {}  # as in metadata.csv
        return {"row": line.number, "refused": line.refused, **kept, **label}

    def _unknown(self, event: str) -> str:
        if event == WITHDRAWN or event in self._targets:
            return ""
        return f"event is {event[:40]!r}, expected {WITHDRAWN} or a target: {', '.join(self._targets)}"
