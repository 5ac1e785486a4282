"""Which test samples are damaged: labelled ones of many groups and few partitions, the same however much lands."""

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import NoData
from tasks.files import folder_digest, read_json
from tasks.index import read_index
from tasks.paths import MANIFEST, PROBE, RAW
from tasks.probe import GROUPS, PARTITIONS, chosen
from tasks.probe.__main__ import probe
from tests.validate.nights import judge, land, rows


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def probed():
    probe()
    found = read_json(PROBE)
    return [(one["batch"], one["sample_id"]) for one in found["samples"]], found["partitions"]


def holding(name, keys):
    """The partitions that hold any of the samples, as the raw files tell."""
    found = {}
    for batch in read_index():
        for part in batch.partitions[name]:
            ids = set(pq.read_table(RAW / part.path)["sample_id"].to_pylist())
            if any(key == batch.key and sample in ids for key, sample in keys):
                found[part.path] = (batch.key, part.rows, part.md5)
    return found


def test_the_chosen_are_labelled_test_samples_and_stay_whatever_lands():
    more = {"robustness": {"samples": 16}, "ingest": {"partition_rows": 30}}
    first = [{**row, "label": "" if i % 5 == 0 else row["label"]} for i, row in enumerate(rows(240))]
    nights = [land("night-1", first), *(land(f"night-{n}", rows(40, start=40 * n + 200)) for n in (2, 3))]
    _, _, _, samples = judge(nights[0], more=more)
    before, _ = probed()
    assert len(before) == 16
    judged = samples.set_index("sample_id").loc[[sample for _, sample in before]]
    assert set(judged["split"]) == {"test"}
    assert judged["label"].notna().all()
    assert judged["group"].value_counts().max() <= 16 / GROUPS

    judge(*nights, more=more)
    after, found = probed()
    assert after == before
    for name in ("audio", "image", "text"):
        told = {one["path"]: (one["batch"], one["rows"], one["md5"]) for one in found[name]}
        assert told == holding(name, before)
    kept = folder_digest(PROBE.parent / "3_manifest"), PROBE.read_bytes()
    probe()
    assert (folder_digest(MANIFEST), PROBE.read_bytes()) == kept


def test_they_are_of_the_target_that_is_judged_and_none_asked_for_is_none():
    marked = enumerate(rows(240))
    table = [{**row, "label": row["label"] if i % 4 < 2 else "", "size": str(i) if i % 4 >= 2 else ""} for i, row in marked]
    more = {"targets": {"label": {}, "size": {"type": "regression"}}, "gate": {"target": "size"}, "robustness": {"samples": 8}}
    _, _, _, samples = judge(land("night-1", table), more=more)
    keys, _ = probed()
    assert len(keys) == 8
    assert samples.set_index("sample_id").loc[[sample for _, sample in keys], "size"].notna().all()

    judge(land("night-1", rows(120)), more={"robustness": {"samples": 0}})
    assert probed() == ([], {"audio": [], "image": [], "text": []})


def test_without_a_manifest_it_says_what_to_do():
    judge(land("night-1", rows(120)))
    (MANIFEST / "samples.parquet").unlink()
    with pytest.raises(NoData, match="`dvc pull`, or `dvc repro validate`"):
        probe()


SAMPLES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12), st.integers(0, 20)), min_size=1, max_size=60)


@given(SAMPLES, st.integers(1, 20), st.integers(0, 5))
def test_as_many_as_there_are_and_no_others_once_groups_are_enough(landed, count, seen):
    table = pd.DataFrame(landed, columns=["place", "group", "partition"])
    table = table.assign(batch="b" + table["place"].astype(str), group="g" + table["group"].astype(str))
    table["partition"] = table["batch"] + "-" + table["partition"].astype(str)
    table["sample_id"] = [f"s{row}" for row in range(len(table))]
    found = chosen(table, count)
    assert len(set(found["sample_id"])) == len(found) == min(count, len(table))
    assert (found["turn"] > 0).any() or found["group"].value_counts().max() <= -(-count // GROUPS)

    old = table[table["place"] <= seen]
    if len(old) and len(before := chosen(old, count)) == count and not before["turn"].any():
        assert list(before["sample_id"]) == list(found["sample_id"])


def test_few_partitions_are_read_however_many_a_batch_has():
    table = pd.DataFrame({"sample_id": [f"s{i}" for i in range(10_000)], "group": [f"g{i // 2}" for i in range(10_000)]})
    table = table.assign(batch="b", place=0, partition=[f"p{i % 100}" for i in range(10_000)])
    found = chosen(table, 100)
    assert len(found) == 100
    assert found["partition"].nunique() == PARTITIONS
    few = chosen(table[table["partition"].isin(["p1", "p2"])], 100)
    assert few["partition"].value_counts().min() > 30
