"""What ingest holds at once: metadata.csv as it is, one row, and nothing per row or file."""

import tracemalloc

from tasks.ingest import digest
from tasks.ingest import table as tables
from tests.ingest.land import params, write


def held(folder, rows):
    """The most bytes that a batch's digest needs, and those of its metadata.csv."""
    table = [[f"sample-{i:06d}", f"group-{i // 3}", "ab"[i % 2], f"{i % 7}/{i:06d}.png", "some words"] for i in range(rows)]
    landed = write(folder / f"of-{rows}", table, files={row[3]: row[0].encode() for row in table})
    tracemalloc.start()
    try:
        digest(landed, params())
        return tracemalloc.get_traced_memory()[1], (folder / f"of-{rows}/metadata.csv").stat().st_size
    finally:
        tracemalloc.stop()


def test_memory_grows_with_the_table_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "PIECE", 4096)  # characters that are decoded at once: a small part of these tables, too
    held(tmp_path, 10)  # imports
    (small, small_table), (large, large_table) = held(tmp_path, 300), held(tmp_path, 2300)
    assert large - small < 1.1 * (large_table - small_table) + 20_000
