"""A batch of poison taken through ingest, profile and validate: what may not be trusted is set aside, and nothing else happens.

Three witnesses: Python's audit hook in the process that does it (`watched.py`), Linux's inotify on the files that the poison
points to, whatever library would open them, and a server that waits for a call.
"""

import ctypes
import io
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tasks.files import read_json
from tasks.paths import MANIFEST, PROFILES, RAW
from tests.faults.watched import READS
from tests.ingest.test_paths import POISON
from tests.test_bad_input import LANDING, PARAMS, ROWS, land, read_rows, write, write_rows

ROOT = Path(__file__).resolve().parent.parent.parent
IN_OPEN = 0x20
LARGE = "image/large.png"  # its limit is tests/ingest/test_paths.py's


class Watch:
    """Hears of every opening of some files and folders, by whatever process."""

    def __init__(self, *paths: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for path in paths:
            assert self._libc.inotify_add_watch(self._fd, os.fsencode(path), IN_OPEN) >= 0, path

    def heard(self) -> int:
        """How many openings there were since the last call."""
        try:
            content = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return 0
        count = at = 0
        while at < len(content):
            at += 16 + struct.unpack_from("iIII", content, at)[3]
            count += 1
        return count


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Waits for a call."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def objects() -> bytes:
    """An array that only a reader who executes what it reads can read."""
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    return file.getvalue()


def contents(outside: Path, url: str) -> dict[str, bytes]:
    """Files that refer to others, or have a program read them: name -> content."""
    return {
        "image/100.png": f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n({outside}/secret.png) run\n%%EOF\n".encode(),
        "image/101.png": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>'.encode(),
        "image/102.png": f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{outside}/secret.png">]><a>&x;</a>'.encode(),
        "audio/103.wav": f"#EXTM3U\n{url}\n{outside}/secret.png\n".encode(),
        "imu/104.npy": objects(),
    }


def poisoned(outside: Path, url: str) -> set[int]:
    """Land a batch of poison; the rows, from 1, that must be set aside."""
    batch = land("night-2", start=100)
    files = contents(outside, url)
    for path, content in files.items():
        write(batch / path, content)
    rows = [{**row, "split": ""} for row in read_rows(batch)]
    paths = [path for path in (*POISON, url, str(outside / "secret.png")) if path != LARGE]
    cells = [
        *({} for _ in files),
        *({"image_file_name": path} for path in paths),
        {"sample_id": "nul\0"},
        {"sample_id": "\u202etxt"},
        {"sample_id": "twin"},
        {"sample_id": "TWIN"},
        {"sample_id": "caf\u00e9"},
        {"sample_id": "cafe\u0301"},
        {"sample_id": "twice", "label": "a"},
        {"sample_id": "twice", "label": "b"},
        {"text": "x" * 10_000_000},
        {"label": str(outside / "secret.png")},
        {"timestamp": url},
        {"split": f"file://{outside}"},
    ]
    bad = set(range(1, len(cells) + 1))
    cells += [{"split": "train"}, {"split": "test", **{k: rows[len(cells)][k] for k in rows[0] if k.endswith("_file_name")}}]
    bad.add(len(cells))  # the same content in train and test
    # Taken, since these are but names and words: nobody may act on them.
    cells += [{"sample_id": f"../../{outside.name}/secret.png"}, {"group": url}, {"text": url}, {"text": f"=WEBSERVICE({url})"}]
    assert len(cells) <= len(rows)
    for row, changed in zip(rows, cells, strict=False):
        row.update({"timestamp": "", **changed})
    write_rows(batch, [{"timestamp": "", **row} for row in rows])
    for path, content in {"image/1.png": b"one", "image/empty.png": b""}.items():
        write(batch / path, content)
    (batch / "image/link.png").symlink_to(outside / "secret.png")
    (batch / "inside.png").symlink_to(batch / "image/1.png")
    (batch / "linked").symlink_to(outside)
    os.mkfifo(batch / "image/pipe")
    return bad


def test_poison_is_set_aside_and_nothing_is_opened_started_or_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: socket.socket
) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    (project / "tmp").mkdir(parents=True)
    write(outside / "secret.png", b"secret")
    monkeypatch.chdir(project)
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS))
    land()
    bad = poisoned(outside, f"http://127.0.0.1:{server.getsockname()[1]}/1.png")
    write(LANDING / "secret.png", b"secret")
    watch = Watch(outside, outside / "secret.png", LANDING / "secret.png")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(project / "tmp"), "PYTHONPATH": str(ROOT)}

    command = [sys.executable, "-m", "tests.faults.watched"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert watch.heard() == 0
    with pytest.raises(BlockingIOError, match="temporarily unavailable"):
        server.accept()
    names = own_names(LANDING / "night-1", LANDING / "night-2", RAW, PROFILES, MANIFEST)
    seen = json.loads(Path("watched.json").read_text())
    assert ["open", str(LANDING / "night-2")] in seen  # the hook is alive
    assert [one for one in seen if not harmless(*one, project, names)] == []
    lost = [row for row in pq.read_table(MANIFEST / "quarantine.parquet").to_pylist() if row["batch"].startswith("night-2")]
    assert {row["row"] for row in lost} == bad
    assert all(row["reason"] for row in lost)
    assert read_json(MANIFEST / "manifest.json")["batches"][1]["accepted"] == ROWS - len(bad)
    (outside / "secret.png").read_bytes()
    assert watch.heard() > 0  # so is this witness


def own_names(*folders: Path) -> set[str]:
    """Names of what lies in some folders; a link has none."""
    return {path.name for folder in folders for path in folder.rglob("*") if not path.is_symlink()}


MAPS = "/proc/self/maps"  # what holds libraries to one thread looks there for them


def harmless(event: str, path: str, project: Path, names: set[str]) -> bool:
    """Whether this is a reading of code, of the project's own files, or of a batch from its own folder on, name by name."""
    place = Path(path)
    if event not in READS or ".." in place.parts:
        return False
    if path.isdigit() or path == MAPS:  # a descriptor was opened under a name before
        return True
    if place.is_absolute():
        code = (ROOT, Path(sys.prefix), Path(sys.base_prefix))
        return place == project or any(place.is_relative_to(root) for root in (*code, project / "tmp"))
    if len(place.parts) == 1:
        return path in names | {"params.yaml"}
    if place.is_relative_to(LANDING):
        return place in {LANDING, LANDING / "night-1", LANDING / "night-2"}
    return place.parts[0] == "data"
