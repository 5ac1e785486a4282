"""metadata.csv: its columns, and its rows as text with what is wrong with them. Opens none of the files that it names."""

import json
from collections.abc import Iterator

from tasks.errors import ContractBroken
from tasks.ingest.landing import METADATA, Landed
from tasks.ingest.names import folded, id_problem, path_problem
from tasks.ingest.seen import Names
from tasks.ingest.table import Line, Table
from tasks.ingest.times import seconds
from tasks.params import Modality, Params

SPLITS = frozenset({"", "train", "val", "test"})


class Metadata:
    """The content of one metadata.csv, read once so that its hash and its rows belong together.

    Memory: the file's bytes (at most `ingest.file_mb`), and what is refused for being there twice.
    """

    def __init__(self, landed: Landed, params: Params) -> None:
        """Read the file and check its columns.

        Raises:
            ContractBroken: absent, too large, not UTF-8, not CSV, a column missing, named twice or nearly named, no rows or too
                many.
        """
        self._table, self._params = Table(landed, METADATA, params), params
        self.sha256, self.columns = self._table.sha256, self._table.columns
        missing = [text for text, found in _wanted(params, frozenset(self.columns)) if not found]
        self._table.require(missing, ", or change modalities or targets in params.yaml")
        self._refuse_near_names()
        self._survey()

    def _refuse_near_names(self) -> None:
        """A `Group` that is not read as the group would let a patient into train and test, and nobody would see it."""
        ours = {"sample_id", "group", "split", "timestamp", *self._params.targets}
        ours |= {f"{name}{end}" for name in self._params.modalities for end in ("", "_file_name", "_timestamp")}
        for column in self.columns:
            name = column.strip().lower()
            if name in ours and name not in self.columns:
                raise ContractBroken(f"{self._table.where} has the column {column!r}, which is not {name!r}: rename it")

    def lines(self) -> Iterator[Line]:
        """Yield the rows in order, each with what is wrong with its text."""
        for number, cells in self._table.rows():
            row = self._table.row(cells)
            yield Line(number, row, self._problem(row, len(cells)))

    def paths(self, row: dict[str, str]) -> Iterator[tuple[str, str]]:
        """Yield (column, path) for each file that a row names."""
        for name in self._params.modalities:
            column = f"{name}_file_name"
            if row.get(column):
                yield column, row[column]

    def _survey(self) -> None:
        """Take note of what only the whole table shows: ids used twice, and twins of ids and paths."""
        ids, files, count = Names(), Names(), 0
        for _, cells in self._table.rows():
            count += 1
            row = dict(zip(self.columns, cells, strict=False))
            ids.add(row.get("sample_id", ""), json.dumps([row.get(t, "") for t in self._params.targets]))
            for _, path in self.paths(row):
                files.add(path)
        self._repeated, self._twins, self._twin_files = ids.repeated(), ids.twins(), files.twins()
        self._table.check_count(count)

    def _problem(self, row: dict[str, str], cells: int) -> str:
        """The first thing that is wrong with a row, or ""."""
        return (
            self._table.problem(row, cells)
            or id_problem(row["sample_id"])
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


def _wanted(params: Params, columns: frozenset[str]) -> Iterator[tuple[str, bool]]:
    """Yield each thing that the contract asks of the header, in words, and whether it is there."""
    for name in ("sample_id", *params.targets):
        yield name, name in columns
    for modality in params.modalities.values():
        yield from _wanted_of(modality, columns)


def _wanted_of(modality: Modality, columns: frozenset[str]) -> Iterator[tuple[str, bool]]:
    file = f"{modality.name}_file_name"
    if modality.kind == "tabular":
        for column in modality.options.columns:
            yield f"{column} (of modality {modality.name})", column in columns
    elif modality.kind == "text":
        yield f"{modality.name} or {file}", modality.name in columns or file in columns
    else:
        yield file, file in columns
