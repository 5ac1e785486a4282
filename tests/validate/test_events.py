from pathlib import Path

import pytest

from tasks.index import read_index, write_index
from tasks.ingest.landing import list_batches
from tasks.params import load
from tasks.paths import INDEX, MANIFEST, REFERENCE
from tasks.splits import training_rows
from tests.validate.nights import failed, judge, land, rows


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def events(name, *lines):
    folder = Path("landing", name)
    folder.mkdir(parents=True)
    (folder / "events.csv").write_text("\n".join(["sample_id,event,value", *lines]) + "\n")
    return next(batch for batch in list_batches("landing") if batch.name == name)


def labels(samples):
    return dict(zip(samples["sample_id"], samples["label"], strict=True))


def test_a_withdrawn_sample_is_nowhere_in_what_validate_writes():
    night = rows()
    broken = ["s0003", "s0007"]
    batches = land("n1", night), land("n2", rows(40, start=200)), events("late", "s0003,withdrawn,x", "s0205,withdrawn,")
    validation, manifest, quarantine, samples = judge(*batches, broken=broken)
    assert validation["success"]
    assert len(samples) == 160 - 3
    assert [row["sample_id"] for row in quarantine] == ["s0007"]
    for path in MANIFEST.rglob("*"):
        if path.is_file():
            assert not [gone for gone in (b"s0003", b"s0205") if gone in path.read_bytes()], path
    counts = [(b["name"], b["rows"], b["accepted"], b["quarantined"], b["withdrawn"]) for b in manifest["batches"]]
    assert counts == [("n1", 120, 118, 1, 1), ("n2", 40, 39, 0, 1), ("late", 2, 2, 0, 0)]


def test_labels_follow_acceptance_and_rows_whatever_batches_are_called():
    table = rows()
    table[5]["label"] = ""
    first, late = land("n1", table), events("z-first", "s0005,label,c", "s0000,label,b", "s0000,label,c", "s0010,label,a")
    last = events("a-last", "s0010,label,", "s0001,label,b")
    *_, samples = judge(first, late, last)
    found = labels(samples)
    assert [found[name] for name in ("s0005", "s0000", "s0001")] == [2, 2, 1]
    assert found["s0010"] != found["s0010"]  # unlabelled: NaN
    assert samples.set_index("sample_id").loc["s0010", "split"] == ""
    *_, swapped = judge(first, last, late)
    assert labels(swapped)["s0010"] == 0


def test_an_event_holds_for_a_sample_that_lands_later_and_is_warned_about_until_then():
    first, late = land("n1", rows()), events("early", "s0200,label,c", "s0201,withdrawn,", "s0001,label,b")
    validation, *_ = judge(first, late)
    assert validation["success"]
    assert "events about unknown samples" in failed(validation, "warning")
    validation, _, _, samples = judge(first, late, land("n2", rows(40, start=200)))
    assert "events about unknown samples" not in failed(validation, "warning")
    assert labels(samples)["s0200"] == 2
    assert "s0201" not in set(samples["sample_id"])


def test_an_unknown_label_is_set_aside_and_its_batch_is_to_blame():
    late = events("late", "s0000,label,zebra", "s0001,label,b")
    validation, manifest, quarantine, samples = judge(land("n1", rows()), late)
    (told,) = quarantine
    assert (told["sample_id"], told["row"]) == ("s0000", 1)
    assert told["reason"] == "label is 'zebra', which is none of its classes (a, b, c)"
    assert labels(samples)["s0000"] == 0  # as it landed
    assert labels(samples)["s0001"] == 1
    assert validation["failed_batches"] == [manifest["batches"][1]["key"]]  # half of it is refused
    assert [b["quarantined"] for b in manifest["batches"]] == [0, 1]


def test_encoders_learn_from_the_reference_and_its_own_events_until_it_moves():
    first, late = land("n1", rows()), events("late", "s0000,withdrawn,", "s0001,label,b")
    judge(first, late)
    before = training_rows(read_index(REFERENCE), load()).set_index("sample_id")["label"]
    write_index(read_index(INDEX), REFERENCE)
    after = training_rows(read_index(REFERENCE), load()).set_index("sample_id")["label"]
    assert "s0000" in before
    assert set(before.index) - set(after.index) == {"s0000"}
    assert (before["s0001"], after["s0001"]) == ("a", "b")


def test_the_window_keeps_the_newest_batches_of_samples():
    batches = (
        land("n1", rows()),
        land("n0", rows(60, start=200)),
        events("late", "s0001,label,b"),
        land("n2", rows(60, start=300)),
    )
    *_, every = judge(*batches)
    *_, samples = judge(*batches, more={"split": {"window_batches": 2}})
    old = samples["sample_id"] < "s0200"
    assert set(samples.loc[old, "split"]) == {"", "test"}
    assert samples.loc[~old, "split"].tolist() == every.loc[~old, "split"].tolist()
    assert (samples["split"] == "test").tolist() == (every["split"] == "test").tolist()


def test_the_window_counts_seconds_from_the_newest_timestamp_and_spares_a_given_val():
    table = rows()
    for i, row in enumerate(table):
        row["timestamp"] = str(1000 + i) if i != 60 else ""
        row["split"] = ("train", "train", "val", "test")[i // 2 % 4]
    validation, _, _, samples = judge(land("n1", table), more={"split": {"window_s": 59.5}})
    train = samples.loc[samples["split"] == "train", "timestamp"]
    assert train.min() == 1064
    assert (samples["split"] == "val").sum() == 30
    validation, *_ = judge(land("n2", table), more={"split": {"window_s": 0.5}})
    reason = failed(validation)["enough to split, learn and judge"]
    assert r"widen split.window_s (0.5), the training window" in reason
