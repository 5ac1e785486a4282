"""Files and texts of a command line as samples: `image=a.png`, `report="no finding"`, `age=47`, or a.png alone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.errors import ContractBroken, UnknownName
from tasks.params import Modality
from tasks.profile import kind_module

SUFFIXES = {
    "audio": (".wav", ".flac", ".ogg", ".mp3", ".m4a"),
    "image": (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"),
    "pointcloud": (".ply", ".pcd", ".las", ".npy"),
    "tabular": (".json",),
    "text": (".txt", ".md"),
    "timeseries": (".csv", ".parquet", ".npy"),
    "video": (".mp4", ".mov", ".mkv", ".webm", ".avi", ".npy"),
    "volume": (".nii", ".nii.gz", ".zip", ".npy"),
}


@dataclass(frozen=True)
class Given:
    """What a command line gives of one modality of one sample: how it was called there, and its bytes."""

    called: str
    data: bytes


Sample = dict[str, Given]  # by modality


@dataclass
class _Words:
    """What was said so far."""

    modalities: Mapping[str, Modality]
    items: dict[str, list[Given]] = field(default_factory=dict)
    cells: dict[str, dict[str, str]] = field(default_factory=dict)  # of tabular modalities

    def take(self, word: str) -> None:
        name, equals, value = word.partition("=")
        column = self._table_with(name)
        if equals and name in self.modalities:
            self._add(name, value)
        elif equals and column:
            if name in self.cells.setdefault(column, {}):
                raise ContractBroken(f"{name} is given twice: cells are of one sample at a time")
            self.cells[column][name] = value
        elif equals and not _is_file(word):
            columns = [c for m in self.modalities.values() if m.kind == "tabular" for c in m.options.columns]
            raise UnknownName("modality or column", name, [*self.modalities, *columns])
        else:
            self._add(_by_suffix(word, self.modalities), word)

    def _add(self, name: str, value: str) -> None:
        if value:
            self.items.setdefault(name, []).append(Given(value, _content(self.modalities[name], value)))

    def _table_with(self, column: str) -> str:
        found = [name for name, m in self.modalities.items() if m.kind == "tabular" and column in m.options.columns]
        return found[0] if len(found) == 1 else ""


def samples(words: Sequence[str], modalities: Mapping[str, Modality]) -> list[Sample]:
    """Turn words into samples: the n-th of each modality make the n-th sample.

    Args:
        words: `<modality>=<file>`, `<text>=<the text itself>`, `<column>=<cell>` of a tabular modality, or a file whose suffix
            only one modality takes.
        modalities: of the model.

    Raises:
        UnknownName: a name that is no modality and no column.
        ContractBroken: a file is absent, may be several modalities', or there are more of one modality than of another.
    """
    said = _Words(modalities)
    for word in words:
        said.take(word)
    for name, cells in said.cells.items():
        called = " ".join(f"{column}={cell}" for column, cell in cells.items())
        said.items.setdefault(name, []).append(Given(called, _row(modalities[name], cells)))
    counts = {name: len(items) for name, items in said.items.items()}
    if not counts:
        raise ContractBroken(f"nothing is given of {', '.join(modalities)}: e.g. {_example(modalities)}")
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise ContractBroken(f"several samples need as many of each modality, got {shown}: ask for one sample at a time")
    return [{name: items[n] for name, items in said.items.items()} for n in range(next(iter(counts.values())))]


def problem(sample: Sample, modalities: Mapping[str, Modality]) -> str:
    """Why something that is given cannot be read, or ""."""
    for name, given in sample.items():
        modality = modalities[name]
        try:
            kind_module(modality.kind).decode(given.data, modality.options)
        except ContractBroken as broken:
            return f"{name}={given.called[:80]}: {broken}"
    return ""


def _by_suffix(path: str, modalities: Mapping[str, Modality]) -> str:
    fits = [name for name, m in modalities.items() if path.lower().endswith(SUFFIXES[m.kind])]
    if len(fits) == 1:
        return fits[0]
    known = ", ".join(f"{name} ({m.kind}: {' '.join(SUFFIXES[m.kind])})" for name, m in modalities.items())
    what = f"may be {' or '.join(fits)}" if fits else "is no modality's by its suffix"
    raise ContractBroken(f"{path!r} {what}: say which, e.g. {(fits or list(modalities))[0]}={path}. Modalities: {known}")


def _content(modality: Modality, value: str) -> bytes:
    if modality.kind == "tabular":
        return _row(modality, _cells(modality.name, value))
    if modality.kind == "text" and not _is_path(value):
        return value.encode()
    return _read(modality.name, value)


def _is_path(text: str) -> bool:
    """Whether a text is the name of a file, one that should be there: it is one, or looks like one."""
    return " " not in text and (_is_file(text) or text.lower().endswith(SUFFIXES["text"]))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # it is too long for a name
        return False


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ContractBroken(f"{name}={path} cannot be read: {error.strerror or error}") from error


def _cells(name: str, path: str) -> dict[str, str]:
    try:
        found = json.loads(_read(name, path))
    except ValueError as error:
        raise ContractBroken(f"{name}={path} must be a JSON object of column: value: {error}") from error
    if not isinstance(found, dict):
        raise ContractBroken(f"{name}={path} must be a JSON object of column: value, got {type(found).__name__}")
    return {column: str(cell) for column, cell in found.items() if cell is not None}


def _row(modality: Modality, cells: Mapping[str, str]) -> bytes:
    """A row of a tabular modality, as ingest would store it."""
    for column in cells:
        if column not in modality.options.columns:
            raise UnknownName(f"column of {modality.name}:", column, modality.options.columns)
    row: dict[str, Any] = {column: cells.get(column, "").strip() or None for column in sorted(modality.options.columns)}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _example(modalities: Mapping[str, Modality]) -> str:
    parts = []
    for name, m in modalities.items():
        if m.kind == "tabular":
            parts.append(f"{m.options.columns[0]}=…")
        else:
            parts.append(f'{name}="some words"' if m.kind == "text" else f"{name}=file{SUFFIXES[m.kind][0]}")
    return " ".join(parts)
