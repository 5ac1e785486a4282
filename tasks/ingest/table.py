"""A landed CSV file: read once, within limits, as text; nothing else that it names is opened."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.errors import ContractBroken
from tasks.ingest.landing import Landed
from tasks.ingest.store import Unreadable
from tasks.params import Params

CELL = 1_000_000  # characters
PIECE = 1 << 16  # characters


@dataclass(frozen=True)
class Line:
    """One row of a landed table.

    Attributes:
        number: 1 for the first row below the header.
        cells: text by column; a cell that the row lacks is "".
        refused: what is wrong with the row, or "".
    """

    number: int
    cells: dict[str, str]
    refused: str


class Table:
    """The content of one CSV file, so that its hash and its rows belong together."""

    def __init__(self, landed: Landed, name: str, params: Params) -> None:
        """Read the file and its header.

        Raises:
            ContractBroken: absent, too large, not UTF-8, not CSV, or a column named twice.
        """
        self.where = f"{landed.place}/{name}"
        try:
            content = landed.store.read(name, params.ingest.file_mb << 20)
        except Unreadable as problem:
            raise ContractBroken(f"{self.where} {problem}") from problem
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._most_rows = params.ingest.batch_rows
        self._content = content
        self._check_encoding()
        csv.field_size_limit(max(csv.field_size_limit(), len(content)))  # a long cell costs its row, not the batch
        self.columns = tuple(next(self._parsed(), []))
        twice = sorted(column for column, n in Counter(self.columns).items() if n > 1 and column)
        if twice:
            raise ContractBroken(f"{self.where} has more than one column {', '.join(twice)}; rename all but one")

    def require(self, missing: Sequence[str], advice: str) -> None:
        """Refuse a header that lacks columns.

        Raises:
            ContractBroken: it lacks any; the message lists those that are there.
        """
        if missing:
            shown = ", ".join(self.columns[:50]) or "none"
            raise ContractBroken(
                f"{self.where} lacks the column {'; '.join(missing)}. Columns found: {shown[:500]}."
                f" Add it (comma-separated; empty cells are allowed){advice}"
            )

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield number and cells of each row below the header; a blank line is no row."""
        rows = self._parsed()
        next(rows, None)
        yield from enumerate((cells for cells in rows if cells), start=1)

    def row(self, cells: list[str]) -> dict[str, str]:
        """Cells by column."""
        return dict.fromkeys(self.columns, "") | dict(zip(self.columns, cells, strict=False))

    def check_count(self, count: int) -> None:
        """Refuse an empty table and one that is too long.

        Raises:
            ContractBroken: `count` rows are none or too many.
        """
        if not 0 < count <= self._most_rows:
            raise ContractBroken(f"{self.where} has {count} rows, expected 1 to {self._most_rows} (ingest.batch_rows)")

    def problem(self, row: dict[str, str], cells: int) -> str:
        """What is wrong with the text of a row of so many cells, or ""."""
        if cells != len(self.columns):
            return f"the row has {cells} cells, the header {len(self.columns)}"
        for column, cell in row.items():
            if len(cell) > CELL:
                return f"{column} has {len(cell)} characters, at most {CELL} are allowed"
            if "\0" in cell:
                return f"{column} holds a NUL character"
        return ""

    def _text(self) -> io.TextIOWrapper:
        """The content, decoded piece by piece as it is read."""
        return io.TextIOWrapper(io.BytesIO(self._content), "utf-8-sig", newline="")

    def _check_encoding(self) -> None:
        text = self._text()
        try:
            while text.read(PIECE):
                pass
        except UnicodeDecodeError as error:
            at = _wrong_byte(self._content)
            raise ContractBroken(f"{self.where} is not UTF-8 (byte {at}); save it as `CSV UTF-8`") from error

    def _parsed(self) -> Iterator[list[str]]:
        reader = csv.reader(self._text(), strict=True)
        try:
            yield from reader
        except csv.Error as error:
            raise ContractBroken(f"{self.where}, line {reader.line_num}, is not CSV: {error}") from error


def _wrong_byte(content: bytes) -> int:
    """Where a content stops being UTF-8."""
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start
    return len(content)
