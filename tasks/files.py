"""Files and folders that are whole or not there, JSON in one form, and digests of both."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.errors import ContractBroken, NoData


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it: nothing half-written ever has the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that replaces `path` when the block ends well, and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary.chmod(0o755)  # mkdtemp gives 0o700
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: object) -> None:
    """Write canonical JSON: sorted keys, two spaces, no NaN, newline at the end."""
    write_bytes(path, (json.dumps(value, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON that a stage wrote.

    Raises:
        NoData: the file is absent.
        ContractBroken: it is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro` the stage that makes it") from error
    except (ValueError, RecursionError) as error:
        raise ContractBroken(f"{path} is not JSON: {error}") from error


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def folder_digest(folder: Path) -> str:
    """Hex sha256 over the sorted relative paths and contents of a folder's files: its identity, wherever it lies."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = "".join(f"{file_digest(folder / name)}  {name}\n" for name in files)
    return hashlib.sha256(lines.encode()).hexdigest()
