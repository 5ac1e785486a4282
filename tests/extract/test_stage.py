"""The stages profile and extract on a small night."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import ContractBroken, NoData
from tasks.extract.__main__ import extract
from tasks.features import read_features, read_sample_ids
from tasks.files import file_digest, folder_digest
from tasks.params import KINDS
from tasks.paths import FEATURES, PROFILES, RAW
from tasks.pretrain.__main__ import pretrain
from tasks.profile.__main__ import profile
from tests.extract.raw import rows, write_params, write_raw


@pytest.fixture
def night(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = rows("text", 50)
    made[4]["data"] = b"\xff"
    write_params("text")
    write_raw(made)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_night_of_any_kind_goes_through(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params(kind, epochs=1)
    write_raw(rows(kind, 40))
    for stage in (profile, pretrain, extract):
        stage("thing")
    table = pa.concat_tables(pq.read_table(path) for path in sorted((PROFILES / "thing").iterdir()))
    assert table["ok"].to_pylist() == [True] * 40
    assert read_features(FEATURES / "thing/night-000.safetensors").mask[:, 0].all()


@pytest.mark.parametrize("kind", ["audio", "text"])
def test_as_many_processes_as_one_likes_make_the_same_bytes(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params(kind, epochs=1)
    write_raw(rows(kind, 150), per_partition=100)
    pretrain("thing")
    made = []
    for threads in (1, 3):
        params = json.loads(Path("params.yaml").read_text())
        Path("params.yaml").write_text(json.dumps({**params, "threads": threads}))
        profile("thing")
        extract("thing")
        made.append((folder_digest(PROFILES / "thing"), folder_digest(FEATURES / "thing")))
    assert made[0] == made[1]


def test_profiles_hold_a_row_per_raw_row_and_the_reason(night, capsys):
    profile("thing")
    first, second = (pq.read_table(PROFILES / f"thing/night-00{number}.parquet") for number in (0, 1))
    assert (first.num_rows, second.num_rows) == (30, 20)
    assert first.schema.metadata == {b"raw": file_digest(RAW / "thing/night-000.parquet", "md5").encode()}
    table = pa.concat_tables([first, second]).to_pandas()
    assert table["sample_id"].tolist() == [row["sample_id"] for row in night]
    assert table["ok"].sum() == 49
    assert "not UTF-8" in table["reason"][4]
    assert table["chars"].isna().sum() == 1
    assert "work decoded=50" in capsys.readouterr().out


def test_features_follow_the_raw_rows(night, capsys):
    pretrain("thing")
    capsys.readouterr()
    extract("thing")
    assert "work decoded=50" in capsys.readouterr().out
    paths = [FEATURES / f"thing/night-00{number}.safetensors" for number in (0, 1)]
    assert sorted((FEATURES / "thing").iterdir()) == paths
    assert read_sample_ids(paths[0]) + read_sample_ids(paths[1]) == [row["sample_id"] for row in night]
    first, second = map(read_features, paths)
    assert (len(first.tokens), len(second.tokens)) == (30, 20)
    np.testing.assert_array_equal(np.flatnonzero(~first.mask.any(axis=1)), [4])


def test_the_same_night_makes_the_same_bytes(night):
    pretrain("thing")
    extract("thing")
    before = folder_digest(FEATURES / "thing")
    extract("thing")
    assert folder_digest(FEATURES / "thing") == before


def test_how_rows_are_cut_into_partitions_changes_no_features(night):
    pretrain("thing")
    extract("thing")
    whole = [read_features(FEATURES / f"thing/night-00{n}.safetensors").tokens for n in range(2)]
    write_raw(night, per_partition=7)
    extract("thing")
    again = [read_features(path).tokens for path in sorted((FEATURES / "thing").glob("*.safetensors"))]
    assert len(again) == 8
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate(whole))


@pytest.mark.parametrize("stage", [profile, pretrain, extract])
def test_a_changed_partition_is_refused_and_nothing_is_left_behind(night, stage, tmp_path):
    pretrain("thing")
    path = RAW / "thing/night-000.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    before = folder_digest(tmp_path / "data")
    with pytest.raises(ContractBroken, match="not the file that was ingested"):
        stage("thing")
    assert folder_digest(tmp_path / "data") == before


def test_without_an_encoder_extract_says_what_to_do(night):
    with pytest.raises(NoData, match=r"encoder\.json is not here"):
        extract("thing")
