"""The rows of a batch with the bytes of their modalities: what `digest` hashes and `ingest` cuts."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.errors import ContractBroken
from tasks.ingest.landing import Landed
from tasks.ingest.metadata import Metadata
from tasks.ingest.seen import Digests
from tasks.ingest.store import Unreadable
from tasks.ingest.table import Line
from tasks.params import Modality, Params


@dataclass(frozen=True)
class Content:
    """One modality of one row."""

    file_name: str  # "" when inline
    data: bytes


class Rows:
    """Reads each row's files once, in row order, and remembers their sha256 for the batch's digest."""

    def __init__(self, landed: Landed, params: Params) -> None:
        """Read metadata.csv (see `Metadata` for what may be wrong with it)."""
        self.metadata = Metadata(landed, params)
        self._landed, self._params = landed, params
        self._digests = Digests()

    def read(self) -> Iterator[tuple[Line, dict[str, Content]]]:
        """Yield each row with its modalities' bytes; of a refused row, with none.

        Raises:
            ContractBroken: a file that two rows name changed in between.
            NoData: the store does not answer.
        """
        for line in self.metadata.lines():
            if line.refused:
                yield line, {}
                continue
            try:
                contents = self._contents(line.cells)
            except Unreadable as problem:
                yield replace(line, refused=str(problem)), {}
                continue
            yield (line if contents else replace(line, refused="has no modality: each of them is empty")), contents

    def digest(self) -> str:
        """The batch's identity, once all rows were read.

        Returns:
            sha256 over the sha256 of metadata.csv and the sorted (path, sha256) of the files that were read.
        """
        whole = hashlib.sha256(f"{self.metadata.sha256}\n".encode())
        for path, sha256 in self._digests:
            whole.update(f"{sha256.hex()}  {path}\n".encode())
        return whole.hexdigest()

    def _contents(self, row: dict[str, str]) -> dict[str, Content]:
        found = {name: self._content(modality, row) for name, modality in self._params.modalities.items()}
        return {name: content for name, content in found.items() if content is not None}

    def _content(self, modality: Modality, row: dict[str, str]) -> Content | None:
        if modality.kind == "tabular":
            return _table_cells(modality, row)
        column = f"{modality.name}_file_name"
        inline = row.get(modality.name, "") if modality.kind == "text" else ""
        path = row.get(column, "")
        if inline.strip() and path:
            raise Unreadable(f"{modality.name} and {column} are both given; leave one of them empty")
        if inline.strip():
            return Content("", inline.encode())
        return Content(path, self._file(column, path)) if path else None

    def _file(self, column: str, path: str) -> bytes:
        try:
            data = self._landed.store.read(path, self._params.ingest.file_mb << 20)
        except Unreadable as problem:
            raise Unreadable(f"{column}: {path[:80]!r} {problem}") from problem
        if not self._digests.add(path, hashlib.sha256(data).digest()):
            raise ContractBroken(f"{self._landed.place}: {path} changed while it was read; land the batch again")
        return data


def _table_cells(modality: Modality, row: dict[str, str]) -> Content | None:
    """The modality's cells as canonical JSON {column: text, or null when empty}; None when all are empty."""
    names = sorted(modality.options.columns)
    cells = {name: row[name] if row[name].strip() else None for name in names}
    if all(cell is None for cell in cells.values()):
        return None
    return Content("", json.dumps(cells, ensure_ascii=False, separators=(",", ":")).encode())
