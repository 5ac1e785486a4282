"""The manifest carries each sample's domain, and which unlabelled samples would be train; only where domains are asked for."""

import pytest

from tasks.errors import ContractBroken
from tests.validate.nights import judge, land, rows

SITES = {"validate": {"domain": "site"}}


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sited(n, start=0, **more):
    return [{**row, "site": ["north", " south ", ""][i % 3], **more} for i, row in enumerate(rows(n, start))]


def test_the_domain_is_carried_and_a_batch_that_landed_without_the_column_has_none():
    old, new = land("n1", rows(120)), land("n2", sited(60, 120))
    _, manifest, _, samples = judge(old, new, more=SITES)
    assert manifest["domain"] == "site"
    found = samples.set_index("sample_id")["domain"]
    assert set(found[:120]) == {""}
    assert list(found["s0120":"s0125"]) == ["north", "south", "", "north", "south", ""]
    assert not samples["unlabelled"].any()


def test_the_unlabelled_of_train_are_told_and_none_of_a_group_that_is_judged():
    table = sited(120)
    for i, row in enumerate(table):
        row["label"] = "" if i % 2 else row["label"]  # one of each group
        row["split"] = "test" if i >= 100 else ""
    lone = sited(20, 120, label="")
    *_, samples = judge(land("n1", [*table, *lone]), more={**SITES, "split": {"val": 0.2}})
    free = samples[samples["unlabelled"]]
    assert (free["label"].isna() & (free["split"] == "")).all()
    parts = samples[samples["label"].notna()].set_index("group")["split"]
    assert set(parts.reindex(free["group"]).dropna()) == {"train"}
    assert len(free) > 25
    assert free["sample_id"].isin([row["sample_id"] for row in lone]).any()


def test_what_has_the_content_of_a_sample_that_is_judged_is_not_learned_from():
    table, lone = sited(120), sited(2, 200, label="", split="train")
    judged = {**table[40], "split": "test"}
    table[40:42] = [judged, {**table[41], "split": "test"}]
    files = {f"audio/{i}.wav": b"a sound" for i in (40, 200)} | {f"image/{i}.png": b"a picture" for i in (40, 200)}
    *_, samples = judge(land("n1", [*table, *lone], files), more={**SITES, "split": {"val": 0.0}})
    assert list(samples.loc[samples["unlabelled"], "sample_id"]) == ["s0201"]


def test_what_lies_outside_the_training_window_teaches_nothing_without_a_label_either():
    first = [*sited(120), *sited(10, 400, label="", split="train")]
    second = [*sited(120, 120), *sited(10, 500, label="", split="train")]
    batches = land("n1", first), land("n2", second)
    *_, samples = judge(*batches, more={**SITES, "split": {"window_batches": 1, "val": 0.0}})
    assert set(samples.loc[samples["unlabelled"], "batch"]) == {samples["batch"].max()}


def test_without_domains_nothing_of_them_is_there():
    _, manifest, _, samples = judge(land("n1", sited(120)))
    assert "domain" not in manifest
    assert not {"domain", "site"} & set(samples.columns)


def test_a_column_that_no_batch_has_is_told():
    with pytest.raises(ContractBroken, match=r"no batch has the column 'site': land it in metadata\.csv, or change validate"):
        judge(land("n1", rows(120)), more=SITES)
