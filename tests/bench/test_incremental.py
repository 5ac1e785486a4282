"""A small `make bench-incremental`: what is counted in samples and bytes holds at any size, seconds do not."""

from pathlib import Path

import pytest

from tests.bench.incremental import measure

pytestmark = pytest.mark.bench


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    place = tmp_path_factory.mktemp("bench")
    return measure(Path(place), 120, 12, str(place / "remote"))


def test_the_second_night_costs_what_is_new(figures: dict[str, object]) -> None:
    assert figures["decoded"] == {f"{stage}@{m}": 12 for stage in ("profile", "extract") for m in ("audio", "image", "text")}
    assert figures["stages_whose_bytes_differ_from_memo"] == 0
    assert figures["stages_whose_bytes_differ_from_scratch"] == 0
    assert figures["recomputed_after_change"] is True
