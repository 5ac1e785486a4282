"""metadata.csv: its columns, and its rows as text with what is wrong with them. Opens none of the files that it names."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.errors import ContractBroken
from tasks.ingest.landing import METADATA, Landed
from tasks.ingest.names import folded, id_problem, path_problem
from tasks.ingest.seen import Names
from tasks.ingest.store import Unreadable
from tasks.ingest.times import seconds
from tasks.params import Modality, Params

CELL = 1_000_000  # characters
PIECE = 1 << 16  # characters
SPLITS = frozenset({"", "train", "val", "test"})


@dataclass(frozen=True)
class Line:
    """One row of metadata.csv.

    Attributes:
        number: 1 for the first row below the header.
        cells: text by column; a cell that the row lacks is "".
        refused: what is wrong with the row, or "".
    """

    number: int
    cells: dict[str, str]
    refused: str


class Metadata:
    """The content of one metadata.csv, read once so that its hash and its rows belong together.

    Memory: the file's bytes (at most `ingest.file_mb`), and what is refused for being there twice.
    """

    def __init__(self, landed: Landed, params: Params) -> None:
        """Read the file and check its columns.

        Raises:
            ContractBroken: absent, too large, not UTF-8, not CSV, a column missing or named twice, no rows or too many.
        """
        self.where = f"{landed.place}/{METADATA}"
        try:
            self._content = landed.store.read(METADATA, params.ingest.file_mb << 20)
        except Unreadable as problem:
            raise ContractBroken(f"{self.where} {problem}") from problem
        self.sha256 = hashlib.sha256(self._content).hexdigest()
        self._params = params
        self._check_encoding()
        csv.field_size_limit(max(csv.field_size_limit(), len(self._content)))  # a long cell costs its row, not the batch
        self.columns = tuple(next(self._parsed(), []))
        self._check_columns()
        self._survey()

    def lines(self) -> Iterator[Line]:
        """Yield the rows in order, each with what is wrong with its text."""
        for number, cells in self._numbered():
            row = dict.fromkeys(self.columns, "") | dict(zip(self.columns, cells, strict=False))
            yield Line(number, row, self._problem(row, len(cells)))

    def paths(self, row: dict[str, str]) -> Iterator[tuple[str, str]]:
        """Yield (column, path) for each file that a row names."""
        for name in self._params.modalities:
            column = f"{name}_file_name"
            if row.get(column):
                yield column, row[column]

    def _parsed(self) -> Iterator[list[str]]:
        reader = csv.reader(self._text(), strict=True)
        try:
            yield from reader
        except csv.Error as error:
            raise ContractBroken(f"{self.where}, line {reader.line_num}, is not CSV: {error}") from error

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

    def _numbered(self) -> Iterator[tuple[int, list[str]]]:
        rows = self._parsed()
        next(rows, None)
        yield from enumerate((cells for cells in rows if cells), start=1)  # a blank line is no row

    def _check_columns(self) -> None:
        twice = sorted(name for name, n in Counter(self.columns).items() if n > 1 and name)
        if twice:
            raise ContractBroken(f"{self.where} has more than one column {', '.join(twice)}; rename all but one")
        missing = [text for text, found in _wanted(self._params, frozenset(self.columns)) if not found]
        if missing:
            shown = ", ".join(self.columns[:50]) or "none"
            raise ContractBroken(
                f"{self.where} lacks the column {'; '.join(missing)}. Columns found: {shown[:500]}."
                " Add it (comma-separated; empty cells are allowed), or change modalities or targets in params.yaml"
            )

    def _survey(self) -> None:
        """Take note of what only the whole table shows: ids used twice, and twins of ids and paths."""
        ids, files, count = Names(), Names(), 0
        for _, cells in self._numbered():
            count += 1
            row = dict(zip(self.columns, cells, strict=False))
            sample = row.get("sample_id", "")
            ids.add(sample, json.dumps([row.get(t, "") for t in self._params.targets]))
            for _, path in self.paths(row):
                files.add(path)
        self._repeated, self._twins, self._twin_files = ids.repeated(), ids.twins(), files.twins()
        if not 0 < count <= self._params.ingest.batch_rows:
            limit = self._params.ingest.batch_rows
            raise ContractBroken(f"{self.where} has {count} rows, expected 1 to {limit} (ingest.batch_rows)")

    def _problem(self, row: dict[str, str], cells: int) -> str:
        """The first thing that is wrong with a row, or ""."""
        if cells != len(self.columns):
            return f"the row has {cells} cells, the header {len(self.columns)}"
        for column, cell in row.items():
            if len(cell) > CELL:
                return f"{column} has {len(cell)} characters, at most {CELL} are allowed"
            if "\0" in cell:
                return f"{column} holds a NUL character"
        return (
            id_problem(row["sample_id"])
            or self._id_used(row["sample_id"])
            or self._split_or_time(row)
            or self._path_problem(row)
        )

    def _id_used(self, sample: str) -> str:
        if sample in self._repeated:
            uses, differ = self._repeated[sample]
            return f"sample_id {sample!r} stands in {uses} rows of the batch{' with different labels' if differ else ''}"
        if self._twins and folded(sample) in self._twins:
            return f"sample_id {sample!r} differs from another only in case or Unicode form"
        return ""

    def _split_or_time(self, row: dict[str, str]) -> str:
        if row.get("split", "") not in SPLITS:
            return f"split is {row['split'][:40]!r}, expected train, val, test or nothing"
        for column in ("timestamp", *(f"{name}_timestamp" for name in self._params.modalities)):
            try:
                seconds(row.get(column, ""))
            except ContractBroken as problem:
                return f"{column}: {problem}"
        return ""

    def _path_problem(self, row: dict[str, str]) -> str:
        for column, path in self.paths(row):
            problem = path_problem(path)
            if not problem and self._twin_files and folded(path) in self._twin_files:
                problem = "differs from another path only in case or Unicode form"
            if problem:
                return f"{column}: {path[:80]!r} {problem}"
        return ""


def _wrong_byte(content: bytes) -> int:
    """Where a content stops being UTF-8."""
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start
    return len(content)


def _wanted(params: Params, columns: frozenset[str]) -> Iterator[tuple[str, bool]]:
    """Yield each thing that the contract asks of the header, in words, and whether it is there."""
    for name in ("sample_id", *params.targets):
        yield name, name in columns
    for modality in params.modalities.values():
        yield from _wanted_of(modality, columns)


def _wanted_of(modality: Modality, columns: frozenset[str]) -> Iterator[tuple[str, bool]]:
    file = f"{modality.name}_file_name"
    if modality.kind == "tabular":
        for column in (*modality.options.numbers, *modality.options.categories):
            yield f"{column} (of modality {modality.name})", column in columns
    elif modality.kind == "text":
        yield f"{modality.name} or {file}", modality.name in columns or file in columns
    else:
        yield file, file in columns
