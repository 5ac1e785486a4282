"""Results of partitions that lie in .memo/: whole ones are taken, all others computed, and the bytes are the same."""

import os
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from tasks.errors import NoData
from tasks.extract.__main__ import extract
from tasks.files import folder_digest
from tasks.memo import brought
from tasks.paths import ENCODERS, FEATURES, MEMO, PROFILES, RAW
from tasks.pretrain.__main__ import pretrain
from tasks.profile.__main__ import profile
from tests.extract.raw import rows, write_params, write_raw

STAGES = {"profile": (profile, PROFILES / "thing"), "extract": (extract, FEATURES / "thing")}
ROOT = Path(__file__).parents[2]
ROWS = (20, 20, 10)  # of the three partitions


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Everything from scratch, once."""
    folder = tmp_path_factory.mktemp("computed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_params("text")
        write_raw(rows("text", 50), per_partition=20)
        pretrain("thing")
        for stage, _ in STAGES.values():
            stage("thing")
    return folder


@pytest.fixture(params=STAGES)
def stage(request, computed, tmp_path, monkeypatch):
    """A stage whose out is not there yet: (function, out, what it must become)."""
    shutil.copytree(computed, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    function, out = STAGES[request.param]
    shutil.rmtree(out)
    return function, out, folder_digest(computed / out)


def bring(computed: Path, out: Path, *numbers: int) -> list[Path]:
    """Put some results into .memo/, and take their raw partitions away."""
    suffix = ".parquet" if out.parent == PROFILES else ".safetensors"
    paths = []
    for number in numbers:
        path = MEMO / out / f"night-00{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(computed / out / path.name, path)
        (RAW / f"thing/night-00{number}.parquet").unlink()
        paths.append(path)
    return paths


@pytest.mark.parametrize("numbers", [c for n in range(4) for c in combinations(range(3), n)])
def test_with_any_of_them_brought_the_bytes_are_those_from_scratch(stage, computed, numbers, capsys):
    function, out, wanted = stage
    bring(computed, out, *numbers)
    function("thing")
    assert folder_digest(out) == wanted
    taken = sum(ROWS[number] for number in numbers)
    told = f"work brought={taken} decoded={50 - taken}" if taken else "work decoded=50"
    assert told in capsys.readouterr().out.splitlines()


def test_another_process_makes_the_same_bytes(stage, computed):
    _, out, wanted = stage
    name = "profile" if out.parent == PROFILES else "extract"
    shutil.copy(ROOT / "requirements.lock", ".")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-m", f"tasks.{name}", "thing"], check=True, capture_output=True, env=environment)
    assert folder_digest(out) == wanted


def flipped(content: bytes) -> bytes:
    """A bit of what it holds is another."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :]


DAMAGE = {
    "empty": lambda content: b"",
    "short": lambda content: content[:6],
    "cut": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b"0",
    "flipped": flipped,
    "noise": lambda content: b"\xff" * len(content),
    "text": lambda content: b"{}",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_told_and_computed(stage, computed, damage, capsys):
    function, out, wanted = stage
    (path,) = bring(computed, out, 1)
    shutil.copy(computed / RAW / "thing/night-001.parquet", RAW / "thing")
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    function("thing")
    assert folder_digest(out) == wanted
    printed = capsys.readouterr().out
    assert f"{path} " in printed
    assert "; computed instead\n" in printed
    assert "work decoded=50" in printed.splitlines()


def test_every_single_flipped_byte_is_seen(stage, computed, capsys):
    function, out, wanted = stage
    (path,) = bring(computed, out, 2)
    shutil.copy(computed / RAW / "thing/night-002.parquet", RAW / "thing")
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 25)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        function("thing")
        assert "work decoded=50" in capsys.readouterr().out.splitlines(), at
        assert folder_digest(out) == wanted


def test_anothers_result_is_told_and_computed(stage, computed, capsys):
    function, out, wanted = stage
    first, _ = bring(computed, out, 0, 1)
    shutil.copytree(computed / RAW, RAW, dirs_exist_ok=True)
    shutil.copy(first.with_name(first.name.replace("000", "001")), first)
    function("thing")
    assert folder_digest(out) == wanted
    assert "work brought=20 decoded=30" in capsys.readouterr().out.splitlines()


def test_the_result_of_what_a_partition_was_before_is_not_taken(stage, computed, capsys):
    function, out, wanted = stage
    bring(computed, out, 0, 1, 2)
    made = rows("text", 50)
    made[25]["data"] = b"another text"
    write_raw(made, per_partition=20)
    function("thing")
    assert "work brought=30 decoded=20" in capsys.readouterr().out.splitlines()
    after = folder_digest(out)
    assert after != wanted
    shutil.rmtree(MEMO)
    function("thing")
    assert folder_digest(out) == after


def test_features_of_another_encoders_shape_are_not_taken(computed, tmp_path, monkeypatch, capsys):
    shutil.copytree(computed, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    write_params("text", width=4)
    shutil.rmtree(ENCODERS)
    pretrain("thing")
    bring(computed, FEATURES / "thing", 0, 1, 2)
    shutil.copytree(computed / RAW, RAW, dirs_exist_ok=True)
    extract("thing")
    printed = capsys.readouterr().out
    assert printed.count("or holds features of other rows or of another encoder; computed instead") == 3
    assert "work decoded=50" in printed.splitlines()


def test_a_brought_result_costs_no_second_copy_on_the_disk(stage, computed):
    function, out, _ = stage
    paths = bring(computed, out, 0, 1, 2)
    function("thing")
    assert [(out / path.name).stat().st_ino for path in paths] == [path.stat().st_ino for path in paths]


def test_a_link_to_a_result_is_followed_and_a_dangling_one_passed_over(stage, computed, capsys):
    function, out, wanted = stage
    first, second = bring(computed, out, 0, 1)
    shutil.copy(computed / RAW / "thing/night-001.parquet", RAW / "thing")
    first.unlink()
    first.symlink_to(computed / out / first.name)
    second.unlink()
    second.symlink_to("nowhere")
    function("thing")
    assert folder_digest(out) == wanted
    assert not (out / first.name).is_symlink()
    assert "work brought=20 decoded=30" in capsys.readouterr().out.splitlines()


def test_on_another_file_system_it_is_copied(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (MEMO / "data").mkdir(parents=True)
    (MEMO / "data/x").write_bytes(b"whole")
    monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(OSError(18, "Invalid cross-device link")))
    assert brought(Path("data/x"), Path("x"), lambda path: None)
    assert Path("x").read_bytes() == b"whole"


def test_a_missing_raw_partition_is_missed_only_where_nothing_was_brought(stage, computed):
    function, out, _ = stage
    bring(computed, out, 0)
    (RAW / "thing/night-002.parquet").unlink()
    with pytest.raises(NoData, match=r"thing/night-002.parquet is not here"):
        function("thing")
    assert not out.exists()
