"""One seed of some planted nights, and what the bench makes of many."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.paths import MANIFEST
from tests.forked import call
from tests.nights.__main__ import judge, stopped
from tests.nights.faults import FAULTS, GOOD, renamed
from tests.nights.night import LANDING, TOLD, enter, first, ingested, prepared, second, write_params
from tests.nights.world import FIRST, land, sample

SEED = 0
BAD = ("dead microphone", "duplicated group", "ignored modality")  # one of each way to plant; `make bench-nights` has all


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A champion's night."""
    place = tmp_path_factory.mktemp("first")
    call(place, first, str(SEED))
    return place


def night(base: Path, place: Path, name: str) -> dict:
    call(place, second, str(SEED), name, str(base))
    return json.loads((place / TOLD).read_text())


def test_a_good_night_is_promoted(base: Path, tmp_path: Path) -> None:
    champion, found = json.loads((base / TOLD).read_text()), night(base, tmp_path, GOOD)

    assert (champion["verdict"], champion["decided_by"]) == ("promote", "floor")
    assert (found["verdict"], found["decided_by"], found["quarantined"]) == ("promote", "champion", 0)


@pytest.mark.parametrize("name", BAD)
def test_a_planted_fault_is_stopped_by_the_row_that_is_meant_for_it(name: str, base: Path, tmp_path: Path) -> None:
    found = night(base, tmp_path, name)

    assert stopped(FAULTS[name], found), found["failed"]
    assert found["admitted"]


def land_copies(base: str) -> None:
    """A second batch of nothing but groups that teach already, byte for byte, under other names."""
    enter(Path(base))
    write_params(SEED)
    old = [sample(SEED, number) for number in range(FIRST)]
    names = renamed(old, SEED)
    land(
        LANDING / "night-2",
        [replace(one, sample_id=f"copy-{one.sample_id}", group=names[one.group]) for one in old if one.group in names],
    )
    ingested()
    prepared()


def test_exact_copies_of_what_teaches_never_reach_the_gate(base: Path, tmp_path: Path) -> None:
    call(tmp_path, land_copies, str(base))

    lost = pq.read_table(tmp_path / MANIFEST / "quarantine.parquet")
    assert all(name.startswith("copy-") for name in lost["sample_id"].to_pylist())
    assert set(lost["reason"].to_pylist()) == {"its content stands in another split too, under another sample_id"}
    kept = pq.read_table(tmp_path / MANIFEST / "samples.parquet")["sample_id"].to_pylist()
    assert sorted(kept) == [f"s{number:06d}" for number in range(FIRST)]


def told(name: str, verdict: str, **failed: str) -> dict:
    return {"night": name, "verdict": verdict, "failed": failed, "admitted": True, "cpu_s": 1.0}


@pytest.mark.parametrize(("right", "met"), [(95, True), (94, False)])
def test_a_fault_is_stopped_when_its_row_names_what_is_to_blame_and_the_night_is_rejected(right: int, met: bool) -> None:
    named = [told("dead microphone", "reject", drift="rms of audio in night-2", noisy="…")] * right
    other = [told("dead microphone", "reject", drift="brightness of image in night-2")] * 2
    other += [told("dead microphone", "promote", drift="rms of audio in night-2")]
    missed = [told("dead microphone", "reject", champion="…")] * (100 - right - len(other))

    found = judge("dead microphone", [*named, *other, *missed])

    assert (found["seeds"], found["right"], found["met"]) == (100, right, met)
    assert found["others"]["noisy"] == right


@pytest.mark.parametrize(("right", "met"), [(90, True), (89, False)])
def test_a_good_night_counts_when_it_is_promoted_whatever_warns(right: int, met: bool) -> None:
    nights = [told(GOOD, "promote", noisy="…")] * right + [told(GOOD, "reject", champion="…")] * (100 - right)

    found = judge(GOOD, nights)

    assert (found["right"], found["met"], found["rejected"]) == (right, met, 100 - right)
