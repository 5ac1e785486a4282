"""A target that is a number: what is none is quarantined, what is empty teaches nothing."""

from pathlib import Path

import pandas as pd
import pytest

from tasks import splits
from tasks.errors import ContractBroken
from tasks.index import read_index
from tasks.ingest.landing import list_batches
from tasks.params import check, load
from tasks.splits import training_rows
from tests.validate.nights import PARAMS, failed, judge, land, rows

OPEN = {"targets": {"signs": {"type": "multilabel"}}}
TARGETS = {"targets": {**PARAMS["targets"], "size": {"type": "regression"}}}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sized(n=120, start=0, size=lambda i: f"{i / 4}"):
    return [{**row, "size": size(i)} for i, row in enumerate(rows(n, start), start)]


def test_values_stand_in_the_manifest_what_is_empty_is_null_and_what_is_none_is_quarantined():
    table = sized(size=lambda i: "" if i % 5 == 0 else f"{i / 4}")
    table[3]["label"] = ""
    for row, cell in zip(table[6:9], ("high", "nan", "1e999"), strict=True):
        row["size"] = cell
    validation, manifest, quarantine, samples = judge(land("n1", table), more=TARGETS)
    assert validation["success"], failed(validation)
    assert [(q["sample_id"], q["reason"]) for q in quarantine] == [
        ("s0006", "size is 'high', expected a finite number"),
        ("s0007", "size is 'nan', expected a finite number"),
        ("s0008", "size is '1e999', expected a finite number"),
    ]
    assert manifest["targets"]["size"] == {"type": "regression", "classes": []}
    wanted = [float("nan") if i % 5 == 0 else i / 4 for i in range(120) if i not in (6, 7, 8)]
    pd.testing.assert_series_equal(samples["size"], pd.Series(wanted, name="size"))
    assert samples["label"].isna().sum() == 1
    assert samples["split"][3] != ""  # labelled in the other target


def test_a_batch_of_none_is_rejected_and_late_values_are_numbers_or_refused():
    first = land("n1", sized(size=lambda i: "" if i == 1 else f"{i / 4}"))
    bad = land("n2", sized(40, 200, lambda i: "1,5" if i % 4 == 0 else "3"))
    folder = Path("landing/late")
    folder.mkdir()
    (folder / "events.csv").write_text("sample_id,event,value\ns0001,size,7.25\ns0002,size,large\ns0003,size,\n")
    late = next(batch for batch in list_batches("landing") if batch.name == "late")
    validation, _, quarantine, samples = judge(first, bad, late, more=TARGETS)
    assert "correct the cells, or leave them empty" in failed(validation)["share of rows whose size is no number"]
    assert read_index()[1].key in validation["failed_batches"]
    found = samples.set_index("sample_id")["size"]
    assert (found["s0001"], found["s0002"]) == (7.25, 0.5)
    assert pd.isna(found["s0003"])
    assert quarantine[-1]["reason"] == "size is 'large', expected a finite number"


def test_one_value_teaches_nothing_and_each_target_needs_labels_of_its_own_to_judge():
    table = sized(size=lambda i: "3.0" if i % 2 else "3")
    for i, row in enumerate(table):
        row["split"] = ("train", "train", "val", "test")[i // 2 % 4]
        row["size"] = "" if row["split"] == "test" else row["size"]
    validation, *_ = judge(land("n1", table), more=TARGETS)
    told = failed(validation)["enough to split, learn and judge"]
    assert "distinct values of size in train (measured 1, needed 2)" in told
    assert "samples of test labelled in size (measured 0, needed 1)" in told
    assert "labelled in label" not in told
    with pytest.raises(ContractBroken, match=r"train rows hold 1 number\(s\) of 'size' \(3\), at least 2 are needed"):
        training_rows(read_index(), load())


def test_several_labels_stand_in_the_manifest_as_0_and_1():
    def signs(i):
        return "" if i % 6 == 0 else "|" if i % 6 == 1 else ("cough", "fever|cough", "fever", "fever")[i % 4]

    table = [{**row, "signs": signs(i)} for i, row in enumerate(rows())]
    table[9]["signs"] = "cough|itch"
    more = {"targets": {"signs": {"type": "multilabel", "classes": ["cough", "fever"]}}}
    validation, manifest, quarantine, samples = judge(land("n1", table), more=more)
    assert validation["success"], failed(validation)
    (lost,) = quarantine
    assert lost["reason"] == "signs holds 'itch', which is none of its classes (cough, fever)"
    assert manifest["targets"] == {"signs": {"type": "multilabel", "classes": ["cough", "fever"]}}
    found = samples.set_index("sample_id")["signs"]
    assert [list(found[name]) for name in ("s0001", "s0002", "s0004", "s0005")] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert found["s0000"] is None
    assert samples.set_index("sample_id")["split"]["s0000"] == ""  # unlabelled
    assert splits.outputs(pd.DataFrame({"signs": ["b|a", None, "|", "c|b"]}), check({**PARAMS, **OPEN}))["signs"].classes == (
        "a",
        "b",
        "c",
    )
