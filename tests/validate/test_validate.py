import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.errors import ContractBroken, NoData
from tasks.files import file_digest, read_json
from tasks.index import read_index, write_index
from tasks.paths import INDEX, MANIFEST, PROFILES
from tasks.validate import summary
from tasks.validate.__main__ import validate
from tests.validate.nights import failed, judge, land, rows


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_good_night_passes_and_every_row_is_accounted_for():
    validation, manifest, quarantine, samples = judge(land("n1", rows()), land("n2", rows(40, start=200)))
    assert validation["success"]
    assert summary(validation) == []
    assert quarantine == []
    assert manifest["targets"] == {"label": {"type": "classification", "classes": ["a", "b", "c"]}}
    assert [(b["name"], b["rows"], b["accepted"], b["quarantined"]) for b in manifest["batches"]] == [
        ("n1", 120, 120, 0),
        ("n2", 40, 40, 0),
    ]
    assert manifest["new"] == [manifest["batches"][1]["key"]]
    assert manifest["samples"] == 160 == sum(manifest["splits"].values())
    assert samples["sample_id"].is_monotonic_increasing
    assert samples["label"].tolist() == ["abc".index(row["label"]) for row in rows() + rows(40, start=200)]
    assert validation["batches"] == [b["key"] for b in manifest["batches"]]
    assert validation["failed_batches"] == []


def test_the_same_data_gives_the_same_bytes():
    def digests():
        return {str(path): file_digest(path) for path in sorted(MANIFEST.rglob("*")) if path.is_file()}

    batches = land("n1", rows()), land("n2", rows(40, start=200))
    judge(*batches, broken=["s0003"])
    before = digests()
    validate()
    assert digests() == before
    assert len([name for name in before if "/gx/" in name]) >= 7


def test_contents_are_told_row_by_row():
    *_, samples = judge(land("n1", [{**row, "audio_file_name": ""} if i == 3 else row for i, row in enumerate(rows())]))
    found = pq.read_table(MANIFEST / "contents.parquet")
    assert found["sample_id"].to_pylist() == samples["sample_id"].tolist()
    assert len(set(found["content"].to_pylist())) == 120
    assert found.column_names == ["sample_id", "content", "near of audio", "near of image"]
    assert [found["near of audio"][i].as_py() is None for i in range(5)] == [False, False, False, True, False]
    stem = next((PROFILES / "audio").glob("*.parquet"))
    known = {row["sample_id"]: row["near"] for row in pq.read_table(stem).to_pylist()}  # whole: a float would lose 11 bits
    assert {
        s: n for s, n in zip(samples["sample_id"], found["near of audio"].to_pylist(), strict=True) if s != "s0003"
    } == known


def test_few_broken_files_are_quarantined_with_a_reason_and_the_night_goes_on():
    validation, manifest, quarantine, samples = judge(land("n1", rows()), broken=["s0003", "s0010"])
    assert validation["success"]
    assert [(q["sample_id"], q["row"], q["modality"]) for q in quarantine] == [("s0003", 4, "image"), ("s0010", 11, "image")]
    assert quarantine[0]["reason"] == "image: not a readable image: truncated"
    assert not {"s0003", "s0010"} & set(samples["sample_id"])
    assert manifest["samples"] + manifest["quarantined"] == 120


def test_past_the_share_the_batch_is_named_and_others_are_not():
    broken = [f"s{i:04d}" for i in range(200, 210)]
    validation, *_ = judge(land("n1", rows()), land("n2", rows(40, start=200)), broken=broken)
    assert not validation["success"]
    assert [key.split("-")[0] for key in validation["failed_batches"]] == ["n2"]
    told = failed(validation)
    assert "(quarantined 0.25); expected at most 0.05 in each batch" in told["share of rows quarantined"]
    assert "not a readable image: truncated (10 rows)" in told["share of rows that cannot be decoded"]
    assert summary(validation)[0].startswith("critical: share of rows")


def test_a_batch_of_refused_rows_only_is_judged_too():
    lost = [{**row, "image_file_name": "../x.png"} for row in rows(40, start=200)]
    validation, manifest, quarantine, _ = judge(land("n1", rows()), land("n2", lost, {"../x.png": b"x"}))
    assert [key.split("-")[0] for key in validation["failed_batches"]] == ["n2"]
    assert (manifest["batches"][1]["accepted"], manifest["batches"][1]["quarantined"], len(quarantine)) == (0, 40, 40)


def test_when_nothing_is_left_the_stage_still_says_so():
    validation, manifest, *_ = judge(land("n1", rows()), broken=[row["sample_id"] for row in rows()])
    assert not validation["success"]
    assert manifest["samples"] == 0
    assert "accepted samples" in failed(validation)


def test_unknown_labels_are_quarantined_and_past_the_share_stop_the_night():
    table = rows(40, start=200)
    table[0]["label"] = "zebra"
    validation, _, quarantine, _ = judge(land("n1", rows()), land("n2", table))
    assert validation["success"]
    assert [q["reason"] for q in quarantine] == ["label is 'zebra', which is none of its classes (a, b, c)"]
    for row in table[:8]:
        row["label"] = "zebra"
    validation, *_ = judge(land("n1", rows()), land("n2", table))
    assert "move the reference" in failed(validation)["share of rows with an unknown label"]


def test_classes_of_params_come_in_their_order():
    more = {"targets": {"label": {"classes": ["c", "b", "a"]}}}
    _, manifest, _, samples = judge(land("n1", rows()), more=more)
    assert manifest["targets"] == {"label": {"type": "classification", "classes": ["c", "b", "a"]}}
    assert samples["label"].tolist() == ["cba".index(row["label"]) for row in rows()]


def test_one_class_only_stops_the_night():
    validation, *_ = judge(land("n1", rows(classes="a")))
    assert "classes of label in train (measured 1, needed 2)" in failed(validation)["enough to split, learn and judge"]


def test_too_few_groups_stop_the_night_and_offer_k_fold():
    table = [{**row, "group": f"g{i % 5}"} for i, row in enumerate(rows())]
    told = failed(judge(land("n1", table))[0])["enough to split, learn and judge"]
    assert "groups to split (measured 5, needed 8)" in told
    assert "k-fold: split.fold=0 of split.folds=5" in told


def test_a_group_that_the_user_put_in_two_splits_stops_the_night():
    table = [{**row, "split": "test" if i % 3 == 0 else "train"} for i, row in enumerate(rows())]
    told = failed(judge(land("n1", table))[0])
    assert "give all samples of a group the same split: g0, g1," in told["groups in two splits"]


def test_a_group_that_a_later_batch_puts_in_another_split_is_that_batchs_fault():
    more = [{**row, "split": "test", "group": "g1" if i == 0 else row["group"]} for i, row in enumerate(rows(40, start=200))]
    validation, *_ = judge(land("n1", split_by_group(rows())), land("n2", more))
    assert [key.split("-")[0] for key in validation["failed_batches"]] == ["n2"]
    assert "(stray_groups 1); expected none in any batch" in failed(validation)["groups in two splits"]


def split_by_group(table):
    return [{**row, "split": "test" if int(row["group"][1:]) % 4 == 0 else "train"} for row in table]


def test_an_id_of_an_earlier_batch_costs_its_later_copy():
    again = [*rows(39, start=200), {**rows(1)[0], "group": "other"}]
    validation, _, quarantine, samples = judge(
        land("n1", split_by_group(rows())), land("n2", [{**r, "split": "train"} for r in again])
    )
    assert validation["success"]
    # s0000 was given as test in n1 and as train in n2: train's copy stays.
    (lost,) = quarantine
    assert lost["batch"].startswith("n1")
    assert "sample_id 's0000' stands in batch n2-" in lost["reason"]
    assert samples["sample_id"].is_unique


def test_content_in_train_and_test_costs_the_test_copy():
    table = split_by_group(rows())
    table[8] |= {
        "audio_file_name": "audio/2.wav",
        "image_file_name": "image/2.png",
        "text": "other words",
    }  # test; row 2 is train
    validation, _, quarantine, samples = judge(land("n1", table))
    assert [(q["sample_id"], q["reason"]) for q in quarantine] == [
        ("s0008", "its content stands in another split too, under another sample_id")
    ]
    assert validation["success"]
    assert "s0002" in set(samples["sample_id"])


def test_the_same_image_with_another_sound_is_a_warning():
    table = split_by_group(rows())
    for i in range(8, 80, 8):  # test rows
        table[i]["image_file_name"] = f"image/{i + 2}.png"
    validation, _, quarantine, _ = judge(land("n1", table))
    assert quarantine == []
    assert validation["success"]
    assert set(failed(validation, "warning")) == {
        "share of held-out image that train holds too",
        "share of held-out image that train nearly holds",
    }


def test_words_typed_twice_are_no_leak():
    validation, _, quarantine, _ = judge(
        land("n1", [{**row, "text": "7", "image_file_name": "", "audio_file_name": ""} for row in rows()])
    )
    assert quarantine == []
    told = failed(validation)
    assert list(told) == ["enough to split, learn and judge"]  # the other modalities are needed by params.yaml
    assert "train samples with image (measured 0, needed 1)" in told["enough to split, learn and judge"]


def test_modalities_that_were_not_recorded_together_are_quarantined():
    table = [{**row, "timestamp": "1000", "image_timestamp": "1000.5", "audio_timestamp": ""} for row in rows()]
    table[4]["image_timestamp"] = "1970-01-01T00:20:00"
    table[5] |= {"timestamp": "", "audio_timestamp": "900"}
    _, _, quarantine, _ = judge(land("n1", table))
    assert [(q["sample_id"], q["modality"]) for q in quarantine] == [("s0004", "image"), ("s0005", "image")]
    assert quarantine[0]["reason"] == "image is 200.000 s away from the rest of its sample, at most 1.0 s are allowed"


def test_drift_of_a_new_batch_is_a_warning_with_its_column():
    validation, *_ = judge(land("n1", rows()), land("n2", rows(40, start=200)), shift={"n2": 3.0})
    assert validation["success"]
    (reason,) = failed(validation, "warning").values()
    assert "image brightness (distance" in reason
    found = {(each["modality"], each["column"]): each for each in read_json(MANIFEST / "drift.json")["columns"]}
    assert set(found) == {("audio", "brightness"), ("image", "brightness"), ("text", "brightness")}
    assert found["image", "brightness"]["distance"] > 0.8 > 0.4 > found["audio", "brightness"]["distance"]
    assert found["image", "brightness"]["independent"] == [60.0, 20.0]  # two samples a group
    assert "audio" not in reason


def test_unlabelled_samples_are_kept_in_no_split():
    table = rows()
    table[7]["label"] = ""
    validation, manifest, _, samples = judge(land("n1", table))
    assert validation["success"]
    row = samples.set_index("sample_id").loc["s0007"]
    assert row["split"] == ""
    assert row.isna()["label"]
    assert manifest["splits"][""] == 1


def test_what_may_teach_without_a_label_would_be_train_and_nothing_like_it_is_judged():
    table = [{**row, "split": ("train", "val", "test")[number // 2 % 3]} for number, row in enumerate(rows(classes="abcd"))]
    of_test = next(row for row in table if row["split"] == "test")
    free = {"label": "", "split": "train"}
    good = rows(4, start=300)
    strangers = {
        "copy": {**of_test, **free, "group": "g900"},
        "relative": {**good[1], **free, "group": of_test["group"]},
        "refused": {**good[2], **free, "image_file_name": "../up.png"},
        "judge": {**good[3], **free, "split": "test"},
    }
    wanted = {**good[0], **free, "sample_id": "free"}
    *_, samples = judge(land("n1", [*table, wanted, *({**row, "sample_id": name} for name, row in strangers.items())]))
    assert samples["sample_id"][samples["unlabelled"]].to_list() == ["free"]
    assert {"copy", "relative", "judge"} < set(samples["sample_id"][samples["split"] == ""])


def test_outside_the_training_window_nothing_teaches_without_a_label_either():
    tables = [[{**row, "label": row["label"] if i % 4 else ""} for i, row in enumerate(rows(120, s))] for s in (0, 200)]
    batches = [land(f"n{number}", table) for number, table in enumerate(tables)]
    samples = judge(*batches, more={"split": {"window_batches": 1}})[-1]
    assert samples.groupby("batch")["unlabelled"].any().to_list() == [False, True]


def test_a_share_of_train_changes_neither_what_is_judged_nor_who_is_quarantined():
    table = [{**row, "label": row["label"] if i % 5 else ""} for i, row in enumerate(rows(240))]
    for i in range(100, 140):  # copies of what may be left out
        table[i] = {**table[i], "image_file_name": table[i - 90]["image_file_name"], "audio_file_name": ""}
        table[i - 90] = {**table[i - 90], "audio_file_name": ""}
    found = {share: judge(land("n1", table), more={"split": {"train_share": share}}) for share in (1.0, 0.4)}
    (whole, outputs, lost, samples), (less, fewer, lost_too, some) = found.values()
    assert failed(whole, "critical").keys() == failed(less, "critical").keys() == {"share of rows quarantined"}
    assert (outputs["targets"], lost) == (fewer["targets"], lost_too)
    assert len(lost) > 0
    stays = samples["split"] != "train"
    assert some[stays.to_numpy()]["split"].equals(samples[stays]["split"])
    assert 0.1 < (some["split"] == "train").sum() / (samples["split"] == "train").sum() < 0.7
    assert set(some.loc[some["unlabelled"], "sample_id"]) < set(samples.loc[samples["unlabelled"], "sample_id"])
    validation, *_ = judge(land("n1", rows(240)), more={"split": {"train_share": 0.001}})
    assert list(failed(validation, "critical")) == ["enough to split, learn and judge"]


def test_a_missing_modality_is_a_flag_and_past_the_share_a_warning():
    table = [{**row, "image_file_name": "" if i % 3 else row["image_file_name"]} for i, row in enumerate(rows())]
    validation, _, _, samples = judge(land("n1", table))
    assert samples["has_image"].sum() == 40
    assert list(failed(validation, "warning")) == ["share of rows without image"]


def test_a_profile_that_does_not_cover_its_modality_is_refused():
    judge(land("n1", rows()))
    replace_profile("text", "image")
    validate()  # the same rows are there
    table = rows()
    table[0]["image_file_name"] = ""
    judge(land("n1", table))
    replace_profile("text", "image")
    with pytest.raises(
        ContractBroken, match=r"image does not hold one row per row of data/1_raw/image: `dvc repro -f profile@image`"
    ):
        validate()
    next((PROFILES / "image").iterdir()).unlink()
    with pytest.raises(NoData, match="dvc repro profile@image"):
        validate()


def replace_profile(of, by):
    for path in (PROFILES / by).iterdir():
        path.write_bytes((PROFILES / of / path.name).read_bytes())


def test_a_modality_that_nothing_ever_had_is_judged_too():
    validation, _, _, samples = judge(land("n1", [{**row, "image_file_name": ""} for row in rows()]))
    assert list(failed(validation)) == ["enough to split, learn and judge"]
    assert not samples["has_image"].any()


def test_a_reference_that_the_index_does_not_hold_is_refused():
    judge(land("n1", rows()), land("n2", rows(40, start=200)))
    write_index(read_index()[1:], INDEX)
    with pytest.raises(ContractBroken, match=r"data/reference.json holds n1-\w+, which data/1_raw.json does not"):
        validate()


def test_data_docs_are_rendered_from_what_was_stored():
    from tasks.validate.docs import render

    judge(land("n1", rows()), broken=[f"s{i:04d}" for i in range(20)])
    index = render(MANIFEST, Path("docs"), run="night-7", moment="2026-11-05T22:00:00+00:00")
    pages = sorted(path.name for path in Path("docs/validations").rglob("*.html"))
    assert index == Path("docs/index.html")
    assert pages == sorted(f"{path.stem}.html" for path in (MANIFEST / "gx").glob("*.json"))
    assert "night-7" in index.read_text()
    assert "20261105T220000" in index.read_text()
    with pytest.raises(NoData, match="holds no results"):
        render(Path("nowhere"), Path("docs"))


def test_stored_results_hold_no_time_and_no_uuid():
    judge(land("n1", rows()))
    for path in (MANIFEST / "gx").glob("*.json"):
        result = json.loads(path.read_text())
        assert result["id"] is None
        assert list(result["meta"]) == ["great_expectations_version"]


@pytest.mark.parametrize("objective", ["masked", "supervised"])
@pytest.mark.parametrize("what", ["content", "group"])
def test_what_encoders_see_without_a_label_may_not_stand_beside_what_is_judged(what, objective):
    table = [{**row, "split": ("train", "val", "test")[number // 2 % 3]} for number, row in enumerate(rows(classes="abcd"))]
    copied = next(row for row in table if row["split"] == ("test" if what == "content" else "train"))
    unlabelled = {**copied, "sample_id": "s9999", "group": "g9999", "label": "", "split": "train"}
    later = [{**row, "split": "train"} for row in rows(40, start=300)]
    if what == "group":  # it is judged in a later batch alone: the reference does not know
        later += [{**row, "group": "g9999", "split": "test"} for row in rows(4, start=200)]
    batches = land("n1", [*table, unlabelled]), land("n2", later)
    told = failed(judge(*batches, more={"pretrain": {"objective": objective}, "split": {"val": 0.0}})[0])
    seen = "samples in val or test of whose content or group encoders see others" in told
    assert seen == (objective == "masked")
