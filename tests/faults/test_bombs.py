"""Bombs of at most 200 kB: refused in a second, for 100 MB of memory at most, and the process lives."""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

LARGEST = 200_000  # bytes
MOST_S = 1.0
MOST_MB = 100

# Decodes the bomb twice, the first time before the clock: imports and caches are no part of a bomb.
DECODER = """
import resource, sys, time
from importlib import import_module
from pathlib import Path
from tasks.errors import ContractBroken
kind = import_module(f"tasks.profile.{sys.argv[1]}")
data = Path(sys.argv[2]).read_bytes()
options = kind.Options(numbers=("a",)) if sys.argv[1] == "tabular" else kind.Options()
def refused(content):
    try:
        kind.decode(content, options)
    except ContractBroken as broken:
        return str(broken)
    return ""
refused(b"RIFF"), refused(b"\\x89PNG"), refused(b"PAR1"), refused(b"{}")
before, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
said = refused(data)
after = resource.getrusage(resource.RUSAGE_SELF)
print(time.process_time() - began, (after.ru_maxrss - before.ru_maxrss) / 1024, said)
"""


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(side: int, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    rows = zlib.compress(bytes((side + 1) * min(side, 8000)), 9)
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def parquet() -> bytes:
    file = io.BytesIO()
    table = pa.table({"a": pa.DictionaryArray.from_arrays(pa.array(np.zeros(30_000_000, np.int8)), pa.array([0.5]))})
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def wav() -> bytes:
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + struct.pack("<I", 2**32 - 100)
    return b"RIFF" + struct.pack("<I", 2**32 - 60) + body + bytes(1000)


def zeros(form: int) -> bytes:
    """100 MB of zeros, packed: as zlib (15) or gzip (31) does."""
    return zlib.compress(bytes(10**8), 9, form)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a PNG of 12,000 x 12,000": ("image", lambda: png(12_000)),
    "a PNG of a text that unpacks to 100 MB": (
        "image",
        lambda: png(8, chunk(b"zTXt", b"a\0\0" + zeros(15))),
    ),
    "a gzip of 100 MB as an image": ("image", lambda: zeros(31)),
    "a gzip of 100 MB as a series": ("timeseries", lambda: zeros(31)),
    "a Parquet dictionary of 30 million rows": ("timeseries", parquet),
    "a WAV that promises 4 GB": ("audio", wav),
    "JSON 90,000 levels deep": ("tabular", lambda: b'{"a":' * 30_000),
    "a list 100,000 levels deep": ("tabular", lambda: b"[" * 100_000),
    "an integer of 150,000 digits": ("tabular", lambda: b'{"a": ' + b"9" * 150_000 + b"}"),
    "a cell of digits": ("tabular", lambda: json.dumps({"a": "9" * 150_000}).encode()),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name: str, tmp_path: Path) -> None:
    kind, make = BOMBS[name]
    bomb = tmp_path / "bomb"
    bomb.write_bytes(make())
    assert bomb.stat().st_size <= LARGEST
    done = subprocess.run([sys.executable, "-c", DECODER, kind, str(bomb)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seconds, megabytes, said = done.stdout.split(" ", 2)
    assert said.strip(), "it was taken"
    assert float(seconds) < MOST_S
    assert float(megabytes) < MOST_MB
