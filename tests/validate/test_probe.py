"""Which test samples are damaged: labelled ones of many groups, the same however much lands, and where they lie."""

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.files import read_json
from tasks.index import read_index
from tasks.paths import MANIFEST, RAW
from tasks.validate.probe import GROUPS, chosen
from tests.validate.nights import judge, land, rows


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def probe():
    found = read_json(MANIFEST / "probe.json")
    return [(one["batch"], one["sample_id"]) for one in found["samples"]], found["partitions"]


def test_the_chosen_are_labelled_test_samples_and_stay_whatever_lands():
    more = {"robustness": {"samples": 16}, "ingest": {"partition_rows": 30}}
    first = [{**row, "label": "" if i % 5 == 0 else row["label"]} for i, row in enumerate(rows(240))]
    nights = [land("night-1", first), *(land(f"night-{n}", rows(40, start=40 * n + 200)) for n in (2, 3))]
    _, _, _, samples = judge(nights[0], more=more)
    before, _ = probe()
    assert len(before) == 16
    judged = samples.set_index("sample_id").loc[[sample for _, sample in before]]
    assert set(judged["split"]) == {"test"}
    assert judged["label"].notna().all()
    assert judged["group"].value_counts().max() <= 16 / GROUPS

    judge(*nights, more=more)
    assert probe()[0] == before
    found = probe()[1]
    for name in ("audio", "image", "text"):
        holding = {}
        for batch in read_index():
            for part in batch.partitions[name]:
                ids = set(pq.read_table(RAW / part.path)["sample_id"].to_pylist())
                if any(key == batch.key and sample in ids for key, sample in before):
                    holding[part.path] = (batch.key, part.rows, part.md5)
        assert {one["path"]: (one["batch"], one["rows"], one["md5"]) for one in found[name]} == holding


def test_of_several_targets_each_gives_its_own_and_none_asked_for_is_none():
    table = [
        {**row, "label": row["label"] if i % 4 < 2 else "", "size": str(i) if i % 4 >= 2 else ""}
        for i, row in enumerate(rows(240))
    ]
    more = {"targets": {"label": {}, "size": {"type": "regression"}}, "robustness": {"samples": 8}}
    _, _, _, samples = judge(land("night-1", table), more=more)
    keys, _ = probe()
    told = samples.set_index("sample_id").loc[[sample for _, sample in keys]]
    assert (told["label"].notna().sum(), told["size"].notna().sum()) == (8, 8)

    judge(land("night-1", rows(120)), more={"robustness": {"samples": 0}})
    assert probe() == ([], {"audio": [], "image": [], "text": []})


SAMPLES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=60)  # batch, group


@given(SAMPLES, st.integers(0, 20), st.integers(0, 5))
def test_as_many_as_there_are_and_no_others_once_groups_are_enough(landed, count, seen):
    table = pd.DataFrame(landed, columns=["batch", "group"]).astype(str)
    table["sample_id"] = [f"s{row}" for row in range(len(table))]
    batches = [str(number) for number in range(6)]
    found = chosen(table, batches, count)
    assert len(set(found)) == len(found) == min(count, len(table))

    old = table[table["batch"] <= str(seen)]
    before = chosen(old, batches, count)
    share = -(-count // GROUPS)
    if len(before) == count and old.loc[before, "group"].value_counts().max() <= share:
        assert before == found
