"""The simulation's arithmetic, on unit costs that a person can multiply."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench import scale
from tests.bench.scale import House, check, limits, rows_of, sized_table, written

REQUESTS = {kind: {"fixed": 2, "an_object": 1.0} for kind in ("GET", "PUT", "LIST")}
UNITS: dict[str, Any] = {
    "stages": {
        "open": {"cpu_s": 9.0, "cpu_s_a_sample": 9.0},
        "profile@a": {"cpu_s": 1.0, "cpu_s_a_sample": 0.01},
        "extract@a": {"cpu_s": 2.0, "cpu_s_a_sample": 0.02},
        "validate": {"cpu_s": 3.0, "cpu_s_a_sample": 0.001},
        "pretrain@a": {"cpu_s": 5.0, "cpu_s_a_sample": 0.1},
        "train@concat": {"cpu_s": 4.0, "cpu_s_a_sample": 0.002},
    },
    "runner_cpu_s_a_task": 1.0,
    "brought_cpu_s_a_mb": 0.01,
    "bytes_a_sample": {"raw": 100_000, "image": 100_000, "profiles": 10, "features": 1000},
    "index_bytes_a_partition": 100,
    "partition_rows": 1000,
    "git_of_a_night": {"objects": 12, "kib": 3},
    "s3": {"push": REQUESTS, "pull": REQUESTS},
}


def test_a_first_night_pays_for_all_and_the_next_for_what_is_new() -> None:
    house = House(UNITS, 10_000, 100, 1000)
    assert house.first().cpu_s == pytest.approx(5 + (1 + 100) + (2 + 200) + (3 + 10) + (5 + 1000) + (4 + 20) + 10)
    # 100 are decoded and encoded, 10,100 validated and trained on; the encoder stays, its task only looks
    assert house.second().cpu_s == pytest.approx(5 + (1 + 1) + (2 + 2) + (3 + 10.1) + (4 + 20.2) + 0.1)
    assert house.second().raw_bytes == 100 * 100_000
    assert house.partitions(10_100) == 11 + 1
    # new partitions, and the results of 11 in profiles and in features; 13 tasks ask twice more
    assert house.second().gets == 2 + 22 + 13 * 2


def test_a_partition_ends_at_rows_or_at_megabytes() -> None:
    assert rows_of(UNITS, 5000, 256) == 2560
    assert rows_of(UNITS, 500, 256) == 500


def test_a_simulation_that_misses_a_night_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(UNITS, 10_000, 100, 1000)
    right = {
        "samples": 10_000,
        "new": 100,
        "cpu_s": {"first": house.first().cpu_s * 1.1, "second": house.second().cpu_s * 0.9},
        "raw_bytes_first": 10**9,
        "raw_bytes_read": 10**7,
    }
    assert all(abs(ours / theirs - 1) < scale.OFF for _, ours, theirs in check(UNITS, right))
    (tmp_path / "units.json").write_text(json.dumps(UNITS))
    (tmp_path / "measured.json").write_text(json.dumps(right))
    words = ["scale", "--units", str(tmp_path / "units.json"), "--measured", str(tmp_path / "measured.json")]
    monkeypatch.setattr("sys.argv", words)
    assert scale.main() == 0
    (tmp_path / "measured.json").write_text(json.dumps({**right, "raw_bytes_read": 2 * 10**7}))
    assert scale.main() == 1


def test_the_page_shows_the_tables() -> None:
    page = written(scale.PAGE.read_text(), {"sizes": sized_table(UNITS), "limits": limits(UNITS)})
    assert "| new each night | 1,000 | 100,000 | 10,000,000 |" in page
    assert "one candidate is fitted for 8 h" in page
    assert written(page, {"sizes": sized_table(UNITS), "limits": limits(UNITS)}) == page
