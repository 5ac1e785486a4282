"""Raw partitions that those read who work on them: all rows, in order, and only of files that are as the index says."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import ContractBroken, NoData
from tasks.files import file_digest
from tasks.index import Partition
from tasks.parallel import STEP, workers
from tasks.stretches import Stretch, stretches, worked_on


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data/1_raw/thing").mkdir(parents=True)


def write(number: int, items: list[bytes], group: int) -> Partition:
    path = f"thing/night-{number}.parquet"
    ids = [f"s{number}-{at}" for at in range(len(items))]
    pq.write_table(pa.table({"sample_id": ids, "data": pa.array(items, pa.binary())}), Path("data/1_raw", path), group)
    return Partition(path, len(items), file_digest(Path("data/1_raw", path), "md5"))


def some(count: int, seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(int(rng.integers(0, 40))) for _ in range(count)]


def size(stretch: Stretch) -> tuple[int, list[bytes]]:
    items = stretch.read()
    return len(items), items


@pytest.mark.parametrize("count", [1, STEP, 100, 1000])
@pytest.mark.parametrize("group", [7, 40, 5000])
@pytest.mark.parametrize("parts", [1, 8])
def test_stretches_are_all_rows_in_their_order(count, group, parts):
    found = stretches(write(1, items := some(count), group), parts)
    assert [item for stretch in found for item in stretch.read()] == items
    if count >= parts * STEP:
        assert len(found) >= parts


@pytest.mark.parametrize("processes", [1, 2])
def test_partitions_come_back_in_their_order_with_their_ids(processes):
    contents = {number: some(50 + number, number) for number in range(4)}
    made = [write(number, items, 20) for number, items in contents.items()]
    with workers(size, processes) as each:
        back = [
            (partition, ids, [item for _, part in parts for item in part]) for partition, ids, parts in worked_on(made, each, 3)
        ]
    assert [partition for partition, _, _ in back] == made
    assert [items for _, _, items in back] == list(contents.values())
    assert [ids[0] for _, ids, _ in back] == [f"s{number}-0" for number in contents]


def test_another_file_in_the_same_place_is_not_taken_for_the_one_before():
    for seed in (1, 2):
        items = some(30, seed)
        assert [item for stretch in stretches(write(1, items, 100), 2) for item in stretch.read()] == items


def test_a_partition_that_is_not_the_one_that_was_ingested_is_never_worked_on():
    whole, other = write(1, some(30), 100), write(2, some(30, 1), 100)
    Path("data/1_raw", other.path).write_bytes(Path("data/1_raw", whole.path).read_bytes())
    done = []

    def noted(stretch: Stretch) -> None:
        done.append(stretch.path.name)

    with workers(noted, 1) as each, pytest.raises(ContractBroken, match=r"night-2\.parquet is not the file that was ingested"):
        [list(parts) for _, _, parts in worked_on([whole, other], each, 1)]
    assert "night-2.parquet" not in done


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("content", [b"", b"PAR1 no more PAR1", None])
def test_a_damaged_partition_is_told_as_what_it_is(processes, content):
    made = write(1, some(300), 40)
    path = Path("data/1_raw", made.path)
    path.write_bytes(path.read_bytes()[:-9] if content is None else content)
    with workers(size, processes) as each, pytest.raises(ContractBroken, match="is not the file that was ingested"):
        list(worked_on([made], each, 4))


def test_an_absent_partition_is_told_with_the_command_that_brings_it():
    made = write(1, some(3), 100)
    Path("data/1_raw", made.path).unlink()
    with workers(size, 1) as each, pytest.raises(NoData, match=r"night-1\.parquet is not here: `dvc pull data/1_raw`"):
        list(worked_on([made], each, 1))
