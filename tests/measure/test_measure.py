"""Latency and size: percentiles by hand, one sample at a time, and samples from the newest batch."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks import measure as measuring
from tasks.errors import NoData
from tasks.index import Batch, Partition, write_index
from tasks.measure.__main__ import main
from tasks.tables import write_parquet


class Clock:
    """Each call took one millisecond more than the one before."""

    def __init__(self) -> None:
        self.now_s, self.calls = 0.0, 0

    def __call__(self) -> float:
        self.calls += 1
        self.now_s += self.calls / 2 / 1000 if self.calls % 2 == 0 else 0.0
        return self.now_s


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Sequence[bytes | None]]]:
    """Put a bundle in place of the real one, and note what it is asked."""
    calls: list[Mapping[str, Sequence[bytes | None]]] = []

    def predict_raw(raw: Mapping[str, Sequence[bytes | None]]) -> dict[str, Any]:
        calls.append(raw)
        return {"label": np.zeros((1, 2))}

    bundle = SimpleNamespace(load=lambda folder: SimpleNamespace(modalities=("image", "text"), predict_raw=predict_raw))
    monkeypatch.setitem(sys.modules, "tasks.bundle", SimpleNamespace(Bundle=bundle))  # type: ignore[arg-type]
    return calls


def test_latency_is_per_sample_and_size_is_of_all_files(tmp_path: Path, asked: list[Any]) -> None:
    (tmp_path / "encoders").mkdir()
    (tmp_path / "encoders" / "weights").write_bytes(b"x" * 1_500_000)
    (tmp_path / "bundle.json").write_bytes(b"x" * 500_000)
    samples = [{"image": b"%d" % i, "audio": b"unused"} for i in range(20)]

    measured = measuring.measure(tmp_path, samples, Clock())

    assert measured == {"samples": 20, "latency_p50_ms": 10.0, "latency_p95_ms": 19.0, "size_mb": 2.0}
    assert asked[1:] == [{"image": [b"%d" % i], "text": [None]} for i in range(20)]
    assert asked[0] == asked[1]  # one call to warm up, not timed


def test_beyond_a_limit_a_row_warns_and_without_one_it_informs() -> None:
    measured = {"latency_p95_ms": 19.0, "size_mb": 2.0, "gpu_hours": 0.5, "limits": {"latency_p95_ms": 18.9, "size_mb": 2.0}}
    rows = {row["name"]: row for row in measuring.rows(measured)}
    assert {name: (row["measured"], row["needed"], row["verdict"]) for name, row in rows.items()} == {
        "latency, ms": (19.0, 18.9, "fail"),
        "size, MB": (2.0, 2.0, "pass"),
        "GPU, h": (0.5, None, "not applicable"),
    }
    assert not any(row["blocking"] for row in rows.values())
    assert "at most 18.9 is asked for: warns, decides nothing" in str(rows["latency, ms"]["reason"])


def test_nothing_to_measure_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="no sample to time the bundle on"):
        measuring.measure(tmp_path, [])


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 1.0), (0.5, 2.0), (0.95, 4.0), (1.0, 4.0)])
def test_percentile_is_a_value_that_was_measured(share: float, wanted: float) -> None:
    assert measuring.percentile([4.0, 1.0, 3.0, 2.0], share) == wanted


def _partition(folder: Path, path: str, rows: dict[str, bytes]) -> Partition:
    write_parquet(folder / "data/1_raw" / path, pa.table({"sample_id": list(rows), "data": list(rows.values())}))
    content = (folder / "data/1_raw" / path).read_bytes()
    return Partition(path, len(rows), hashlib.md5(content, usedforsecurity=False).hexdigest())


def test_samples_come_from_the_newest_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: list[Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    old = Batch("1", "a" * 64, {"image": (Partition("image/old.parquet", 1, "0"),)})
    image = _partition(tmp_path, "image/new.parquet", {"s3": b"3", "s1": b"1"})
    text = _partition(tmp_path, "text/new.parquet", {"s2": b"zwei", "s1": b"eins"})
    rest = Partition("samples/2.parquet", 1, "0")
    write_index([old, Batch("2", "b" * 64, {"image": (image,), "samples": (rest,), "text": (text,)})])

    assert measuring.sources(tmp_path) == {"image": image, "text": text}
    assert measuring.raw_samples(tmp_path) == [{"image": b"1", "text": b"eins"}, {"text": b"zwei"}, {"image": b"3"}]
    assert measuring.raw_samples(tmp_path, limit=1) == [{"image": b"1", "text": b"eins"}]

    main()
    assert capsys.readouterr().out.startswith("samples 3 · latency_p50_ms ")
    (tmp_path / "data/1_raw" / image.path).unlink()
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "image/new.parquet is not here" in capsys.readouterr().err


CUTS = {  # rows of each partition by modality -> which are read
    "one each": ({"image": [40], "text": [40]}, {"image": 0, "text": 0}),
    "the rest of a batch, when it is enough": ({"image": [500, 500, 120], "text": [500, 500, 120]}, {"image": 2, "text": 2}),
    "not when it is too little": ({"image": [500, 500, 20], "text": [500, 500, 20]}, {"image": 0, "text": 0}),
    "the same samples of each": ({"image": [300] * 4, "text": [800, 400]}, {"image": 2, "text": 1}),
    "a small one that stands alone is no use": ({"image": [110, 890], "text": [1000]}, {"image": 0, "text": 0}),
}


@pytest.mark.parametrize("case", CUTS)
def test_few_raw_rows_are_read_and_they_belong_together(case: str, tmp_path: Path) -> None:
    cuts, wanted = CUTS[case]
    parts = {m: tuple(Partition(f"{m}/{i}", rows, "0") for i, rows in enumerate(found)) for m, found in cuts.items()}
    write_index([Batch("1", "a" * 64, parts)], tmp_path / "data/1_raw.json")
    assert measuring.sources(tmp_path) == {m: parts[m][i] for m, i in wanted.items()}
