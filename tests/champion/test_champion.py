"""The reigning models on tonight's samples: features reused or computed anew, classes aligned by name."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import tasks.bundle
from tasks.champion.__main__ import align, champion
from tasks.champion.reads import reads
from tasks.errors import ContractBroken, NoData
from tasks.features import read_features, read_sample_ids, write_features
from tasks.files import read_json, write_bytes, write_json
from tasks.params import load
from tasks.paths import ANCHOR, BUNDLE, CHAMPION, ENCODERS, FEATURES, MANIFEST, RAW, REPORTS
from tasks.select.assemble import assemble
from tasks.tables import read_answer, write_parquet
from tasks.targets import Output
from tasks.train.__main__ import train
from tasks.train.card import described
from tasks.train.inputs import chosen
from tests.planted import Decoder, enter_copy, plant, plant_raw

PLAIN = Path("data/5_models/candidates/plain")
OUT = REPORTS / "champion.parquet"
OUTPUT = Output("classification", ("cat", "dog", "elk", "fox"))
MOOD = Output("classification", ("good", "bad"))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        plant(epochs=4)
        plant_raw()
        train("plain")
    return folder


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, fitted):
    enter_copy(fitted, tmp_path, monkeypatch)
    for folder in (CHAMPION, ANCHOR):
        folder.mkdir(parents=True)


def crown(folder, name="logistic"):
    shutil.rmtree(folder)
    assemble(PLAIN / name, read_json(PLAIN / name / "candidate.json"), load(), {}, folder)


def rows_of(who):
    table = pq.read_table(OUT)
    chosen = table.filter(pc.equal(table["who"], who))
    return chosen["sample_id"].to_pylist(), read_answer(chosen, "label", OUTPUT)


def test_without_a_champion_the_table_is_empty_and_has_its_columns():
    champion()
    table = pq.read_table(OUT)
    assert table.num_rows == 0
    names = ["label", "label without audio", "label without image", "label without text"]
    assert table.column_names == ["sample_id", "who", *(f"{name}__{i}" for name in names for i in range(4))]


def test_features_of_tonights_encoders_are_reused(capsys):
    crown(CHAMPION)
    shutil.rmtree(RAW)  # nothing of it is needed
    champion()
    ids, probabilities = rows_of("champion")
    samples = pq.read_table(MANIFEST / "samples.parquet").to_pandas()
    assert ids == list(samples["sample_id"][samples["split"] == "test"])
    assert np.isfinite(probabilities).all()
    assert rows_of("anchor")[0] == []
    assert f"encoded=0 predicted={len(ids)}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["logistic", "late"])
def test_another_encoder_reads_the_raw_rows_itself(name, capsys):
    crown(CHAMPION, name)
    champion()
    reused = rows_of("champion")[1]
    write_bytes(ENCODERS / "image" / "weights.safetensors", b"moved on")
    champion()
    samples = pq.read_table(MANIFEST / "samples.parquet").to_pandas()
    number = int(samples["has_image"][samples["split"] == "test"].sum())
    assert f"encoded={number} " in capsys.readouterr().out
    np.testing.assert_allclose(rows_of("champion")[1], reused)


def told(capsys):
    capsys.readouterr()
    reads()
    return json.loads(capsys.readouterr().out)


def test_no_raw_partition_is_asked_for_while_the_encoders_are_the_same(capsys):
    assert told(capsys) == []
    crown(CHAMPION)
    crown(ANCHOR, "late")
    shutil.rmtree(RAW)
    assert told(capsys) == []


@pytest.mark.parametrize("folder", [CHAMPION, ANCHOR])
def test_what_is_asked_for_is_what_the_stage_reads(folder, capsys):
    crown(folder)
    only_old_batch_is_test()
    write_bytes(ENCODERS / "image" / "weights.safetensors", b"moved on")
    wanted = told(capsys)
    assert wanted == ["data/1_raw/image/2026-11-01-aaaaaaaa-000.parquet"]
    for path in RAW.rglob("*.parquet"):
        if str(path) not in wanted:
            path.unlink()
    champion()
    for path in wanted:
        Path(path).unlink()
    with pytest.raises(NoData, match=r"2026-11-01-aaaaaaaa-000.parquet is not here"):
        champion()


def only_old_batch_is_test():
    table = pq.read_table(MANIFEST / "samples.parquet")
    new = pc.and_(pc.ends_with(table["batch"], "b"), pc.equal(table["split"], "test"))
    write_parquet(MANIFEST / "samples.parquet", table.filter(pc.invert(new)))


def test_partitions_without_a_test_sample_are_not_asked_for(capsys):
    crown(CHAMPION)
    write_bytes(ENCODERS / "image" / "weights.safetensors", b"moved on")
    before = told(capsys)
    samples = pq.read_table(MANIFEST / "samples.parquet").to_pandas()
    path = FEATURES / "image/2026-11-01-aaaaaaaa-000.safetensors"
    test = set(samples["sample_id"][samples["split"] == "test"])
    rest = [sample for sample in read_sample_ids(path) if sample not in test]
    write_features(path, chosen(read_features(path), np.arange(len(rest))), "", rest)
    assert told(capsys) == before[1:]


def test_the_bundles_own_encoder_is_the_one_that_encodes(monkeypatch):
    crown(CHAMPION)
    champion()
    before = rows_of("champion")[1]
    write_bytes(ENCODERS / "image" / "weights.safetensors", b"moved on")
    seen = []
    monkeypatch.setattr(tasks.bundle, "load_encoder", lambda folder: seen.append(folder) or Decoder(folder, shift=1.0))
    champion()
    assert set(seen) == {CHAMPION / "encoders/image"}
    assert not np.allclose(rows_of("champion")[1], before)


def test_an_anchor_that_is_the_champion_is_predicted_once(capsys):
    crown(CHAMPION)
    crown(ANCHOR)
    champion()
    ids, probabilities = rows_of("anchor")
    assert ids == rows_of("champion")[0]
    np.testing.assert_array_equal(probabilities, rows_of("champion")[1])
    assert f"predicted={len(ids)}" in capsys.readouterr().out


def test_classes_are_aligned_by_name():
    found = align(
        np.array([[0.7, 0.2, 0.1]]),
        Output("classification", ("cat", "dog", "yak")),
        Output("classification", ("ant", "dog", "cat")),
    )
    np.testing.assert_array_equal(found, [[0.0, 0.2, 0.7]])


def test_tonights_new_class_gets_nothing_from_an_old_champion():
    crown(CHAMPION)
    champion()
    before = rows_of("champion")[1]
    manifest = {"targets": described({"label": Output("classification", ("ant", "cat", "dog", "elk"))})}
    write_json(MANIFEST / "manifest.json", manifest)
    champion()
    np.testing.assert_array_equal(rows_of("champion")[1], np.insert(before[:, :3], 0, 0, axis=1))


def test_a_champion_for_other_targets_has_no_rows():
    crown(CHAMPION)
    write_json(MANIFEST / "manifest.json", {"targets": described({"mood": MOOD})})
    champion()
    table = pq.read_table(OUT)
    assert (table.num_rows, table.column_names[:4]) == (0, ["sample_id", "who", "mood__0", "mood__1"])


def test_what_the_champion_answers_without_each_modality_stands_beside():
    crown(CHAMPION, "late")
    crown(ANCHOR)
    champion()
    table = pq.read_table(OUT)
    samples = pq.read_table(MANIFEST / "samples.parquet").to_pandas()
    has = samples[samples["split"] == "test"]["has_audio"].to_numpy()
    mine = table.filter(pc.equal(table["who"], "champion"))
    whole, rest = (read_answer(mine, name, OUTPUT) for name in ("label", "label without audio"))
    np.testing.assert_allclose(rest[~has], whole[~has])  # it was not there anyway
    assert np.abs(rest - whole)[has].max(axis=1).min() > 0
    theirs = table.filter(pc.equal(table["who"], "anchor"))
    assert theirs["label without audio__0"].null_count == theirs.num_rows > 0


def test_a_target_that_the_champion_lacks_is_null():
    crown(CHAMPION)
    targets = read_json(MANIFEST / "manifest.json")["targets"]
    write_json(MANIFEST / "manifest.json", {"targets": {**targets, **described({"mood": MOOD})}})
    champion()
    table = pq.read_table(OUT)
    assert table["mood__1"].null_count == table.num_rows > 0
    assert table["label__1"].null_count == 0


def test_a_raw_row_that_is_gone_is_told():
    crown(CHAMPION)
    write_bytes(ENCODERS / "image" / "weights.safetensors", b"moved on")
    index = read_json(Path("data/1_raw.json"))
    index["batches"] = index["batches"][1:]
    write_json(Path("data/1_raw.json"), index)
    with pytest.raises(ContractBroken, match=r"data/1_raw/image has no row of .* of 2026-11-01-aaaaaaaa"):
        champion()


def test_an_absent_folder_is_not_the_same_as_none():
    CHAMPION.rmdir()
    with pytest.raises(NoData, match="data/champion is not here"):
        champion()
    assert not BUNDLE.exists()
