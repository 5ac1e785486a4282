"""Bad input: each fault is told in words that say who must act, no row is lost, and no landed file is touched.

One fault is planted per test into a small project of 60 samples, which then takes the way of real data: ingest, profile,
validate. Proven elsewhere: overrides, revisions and releases that do not exist (tests/run/test_open.py), every kind of poisoned
path (tests/ingest/test_paths.py), hostile bytes of each kind (tests/profile/), what `make run` checks (tests/embedded/).
"""

import csv
import io
import os
import shutil
import socket
import struct
import subprocess
import sys
import wave
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from tasks.embedded import night, preflight
from tasks.errors import ContractBroken, TasksError
from tasks.files import file_digest, read_json
from tasks.index import NO_DATA, read_index
from tasks.ingest.__main__ import main as ingest
from tasks.params import load
from tasks.paths import MANIFEST, RAW, REFERENCE
from tasks.profile.__main__ import profile
from tasks.run.git import git
from tasks.run.settings import settings
from tasks.validate.__main__ import validate

ROOT = Path(__file__).resolve().parent.parent
LANDING = Path("data/0_landing")
PARAMS: dict[str, Any] = {
    "modalities": {
        "audio": {"kind": "audio"},
        "image": {"kind": "image", "side_px": 8},
        "imu": {"kind": "timeseries"},
        "text": {"kind": "text"},
    },
    "targets": {"label": {"type": "classification"}},
}
ROWS = 60
Rows = list[dict[str, str]]


# A good batch, and ways to spoil it


def wav(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(values.astype("<i2").tobytes())
    return file.getvalue()


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of one pixel whose header promises side x side."""
    small = png(np.zeros((1, 1)))
    header = b"IHDR" + struct.pack(">II", side, side) + small[24:29]
    return small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]


def land(name: str = "night-1", start: int = 0, classes: str = "abc") -> Path:
    """Land a good batch: every modality, its own content everywhere, two samples a group, metadata.csv last."""
    folder = LANDING / name
    rows = []
    for i in range(start, start + ROWS):
        rng = np.random.default_rng(i)
        write(folder / f"audio/{i}.wav", wav(rng.normal(0, 3000, 800)))
        write(folder / f"image/{i}.png", png(rng.integers(0, 256, (8, 8))))
        write(folder / f"imu/{i}.npy", npy(rng.normal(size=80)))
        rows.append(
            {
                "sample_id": f"s{i}",
                "group": f"g{i // 2}",
                "label": classes[i // 2 % len(classes)],
                "audio_file_name": f"audio/{i}.wav",
                "image_file_name": f"image/{i}.png",
                "imu_file_name": f"imu/{i}.npy",
                "text": f"word {i % 5}",
            }
        )
    write_rows(folder, rows)
    return folder


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def read_rows(folder: Path) -> Rows:
    with (folder / "metadata.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(folder: Path, rows: Rows) -> None:
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def cells(folder: Path, sample: int = 7, **changed: str) -> None:
    """Change cells of one sample's row."""
    rows = read_rows(folder)
    rows[sample].update(changed)
    write_rows(folder, rows)


def cut(path: Path, keep: float) -> None:
    """Keep this share of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def link(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)


def spoil(path: Path, value: float) -> None:
    """Put a value at step 5 of a series."""
    series = np.load(path)
    series[5] = value
    np.save(path, series)


# The way of the data


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as working directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("NIGHTLOOM_")]:
        monkeypatch.delenv(name)
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS))
    shutil.copy(ROOT / "requirements.lock", folder)
    return folder


def digests() -> dict[str, str]:
    """Every landed file: its content, or where a link points."""
    found = [path for path in sorted(LANDING.rglob("*")) if path.is_symlink() or path.is_file()]
    return {str(path): str(path.readlink()) if path.is_symlink() else file_digest(path) for path in found}


def judge() -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    """Take what landed through ingest, profile and validate.

    Returns:
        The critical failures of validation.json, name -> reason; and the quarantine, sample_id -> (modality, reason).
    """
    before = digests()
    ingest()
    for modality in load().modalities:
        profile(modality)
    validate()
    assert digests() == before
    quarantine = pq.read_table(MANIFEST / "quarantine.parquet").to_pylist()
    landed = sum(len(read_rows(LANDING / batch.name)) for batch in read_index())
    assert landed == pq.read_table(MANIFEST / "samples.parquet").num_rows + len(quarantine)
    entries = read_json(MANIFEST / "validation.json")["expectations"]
    failed = {e["name"]: e["reason"] for e in entries if e["severity"] == "critical" and not e["success"]}
    return failed, {f"{row['sample_id']}, row {row['row']}": (row["modality"], row["reason"]) for row in quarantine}


def test_a_good_batch_passes_whole() -> None:
    land()
    assert judge() == ({}, {})


# One bad row: it is quarantined with its reason, and the night goes on

FAULTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a file that is named but absent": (
        lambda batch: (batch / "image/7.png").unlink(),
        "",
        "image_file_name: 'image/7.png' is not in the batch",
    ),
    "a path that climbs out": (
        lambda batch: cells(batch, image_file_name="../outside.png"),
        "",
        "image_file_name: '../outside.png' holds an empty part, `.` or `..`; it must name a file below the batch",
    ),
    "an absolute path": (
        lambda batch: cells(batch, audio_file_name="/etc/passwd"),
        "",
        "audio_file_name: '/etc/passwd' is an absolute path; it must be relative to the batch",
    ),
    "a symbolic link": (
        lambda batch: link(batch / "image/7.png", "../../../outside.png"),
        "",
        "image_file_name: 'image/7.png' passes through a symbolic link; land the file itself",
    ),
    "a truncated PNG": (
        lambda batch: cut(batch / "image/7.png", 0.6),
        "image",
        "image: not a readable image (PNG, JPEG, WebP or TIFF): image file is truncated",
    ),
    "a truncated WAV": (
        lambda batch: cut(batch / "audio/7.wav", 0.5),
        "audio",
        "audio: truncated WAV: chunk b'data' promises 1600 bytes, 778 are there",
    ),
    "a file that is no image": (
        lambda batch: (batch / "image/7.png").write_bytes(b"<html>404</html>"),
        "image",
        "image: not a readable image (PNG, JPEG, WebP or TIFF): cannot identify image file",
    ),
    "a file that is no sound": (
        lambda batch: (batch / "audio/7.wav").write_bytes(b"<html>404</html>"),
        "audio",
        "audio: not a readable sound (WAV, FLAC, Ogg or MP3, or a video's): Error opening: Format not recognised.",
    ),
    "a bomb": (
        lambda batch: (batch / "image/7.png").write_bytes(bomb(5000)),
        "image",
        "image: image of 5000 x 5000 pixels; at most max_px = 16000000 are read",
    ),
    "a bomb beyond Pillow's own limit": (
        lambda batch: (batch / "image/7.png").write_bytes(bomb(60000)),
        "image",
        "image: not a readable image (PNG, JPEG, WebP or TIFF): Image size (3600000000 pixels) exceeds limit of"
        " 178956970 pixels, could be decompression bomb DOS attack.",
    ),
    "NaN in a series": (
        lambda batch: spoil(batch / "imu/7.npy", np.nan),
        "imu",
        "imu: series with NaN or infinity, first at step 5, channel 0",
    ),
    "infinity in a series": (
        lambda batch: spoil(batch / "imu/7.npy", -np.inf),
        "imu",
        "imu: series with NaN or infinity, first at step 5, channel 0",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_row_is_quarantined_with_its_reason_and_the_night_goes_on(fault: str) -> None:
    plant, modality, reason = FAULTS[fault]
    write(LANDING.parent / "outside.png", png(np.zeros((8, 8))))
    plant(land())
    assert judge() == ({}, {"s7, row 8": (modality, reason)})


def test_both_rows_of_a_duplicate_id_are_quarantined() -> None:
    cells(land(), sample=7, sample_id="s4")
    told = "sample_id 's4' stands in 2 rows of the batch with different labels"
    assert judge() == ({}, {"s4, row 5": ("", told), "s4, row 8": ("", told)})


def test_an_unknown_label_is_quarantined_with_the_known_ones() -> None:
    land()
    cells(land("night-2", start=100), label="zebra")
    told = "label is 'zebra', which is none of its classes (a, b, c)"
    assert judge() == ({}, {"s107, row 8": ("", told)})


# A bad batch: validation stops the night before any GPU is used


def test_more_bad_rows_than_allowed_stop_the_night_with_the_commonest_reasons() -> None:
    batch = land()
    for i in range(4):
        (batch / f"imu/{i}.npy").unlink()
    failed, quarantined = judge()
    assert len(quarantined) == 4
    assert list(failed) == ["share of rows quarantined"]
    assert (
        "expected at most 0.05 in each batch. every row's reason is in quarantine.parquet"
        in failed["share of rows quarantined"]
    )


def test_one_class_only_stops_the_night() -> None:
    land(classes="a")
    failed, quarantined = judge()
    assert quarantined == {}
    assert failed == {
        "enough to split, learn and judge": "enough to split, learn and judge: classes of label in train (measured 1,"
        " needed 2); expected measured at least needed. one class teaches nothing: land samples of others"
    }


def test_too_few_groups_stop_the_night_and_the_way_out_is_named() -> None:
    batch = land()
    write_rows(batch, [{**row, "group": f"g{i % 4}"} for i, row in enumerate(read_rows(batch))])
    failed, quarantined = judge()
    assert quarantined == {}
    told = failed.pop("enough to split, learn and judge")
    assert failed == {}
    assert told.startswith("enough to split, learn and judge: groups to split (measured 4, needed 8), ")
    assert told.endswith("expected measured at least needed. land more groups, or try k-fold: split.fold=0 of split.folds=5")


def test_a_label_that_only_the_first_night_has_once_stops_it_until_the_classes_are_listed() -> None:
    batch = land()
    cells(batch, label="zebra")
    failed, quarantined = judge()
    assert quarantined == {}
    assert failed == {
        "enough to split, learn and judge": "enough to split, learn and judge: groups of label=zebra (measured 1, needed 3);"
        " expected measured at least needed. correct the rare label, land more groups of it, or list targets.label.classes:"
        " other labels are quarantined"
    }
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"targets": {"label": {"classes": ["a", "b", "c"]}}}))
    told = "label is 'zebra', which is none of its classes (a, b, c)"
    assert judge() == ({}, {"s7, row 8": ("", told)})


def test_k_fold_is_a_way_out_of_too_few_groups() -> None:
    batch = land()
    write_rows(batch, [{**row, "group": f"g{i % 7}"} for i, row in enumerate(read_rows(batch))])
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"split": {"fold": 0}}))
    failed, _ = judge()
    assert "groups to split" not in str(failed)


# A folder that is no batch: it is named, and the others go on


def test_a_folder_without_metadata_waits_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    land()
    (land("night-2", start=100) / "metadata.csv").unlink()
    before = digests()
    ingest()
    assert capsys.readouterr().out == (
        "waiting: night-2 has no metadata.csv yet: it is written last\nnight-1: 60 rows, 0 refused\n"
    )
    assert digests() == before


def test_a_missing_column_refuses_its_batch_alone(capsys: pytest.CaptureFixture[str]) -> None:
    land("night-2", start=100)
    batch = land()
    write_rows(batch, [{key: cell for key, cell in row.items() if key != "imu_file_name"} for row in read_rows(batch)])
    with pytest.raises(ContractBroken, match="1 of 2 batches in data/0_landing refused; see above"):
        ingest()
    told = capsys.readouterr()
    assert told.err == (
        "night-1: refused: data/0_landing/night-1/metadata.csv lacks the column imu_file_name. Columns found: sample_id, group,"
        " label, audio_file_name, image_file_name, text. Add it (comma-separated; empty cells are allowed), or change"
        " modalities or targets in params.yaml\n"
    )
    assert told.out == "night-2: 60 rows, 0 refused\n"
    assert [batch.name for batch in read_index(REFERENCE)] == ["night-2"]


def test_a_batch_changed_after_ingest_is_refused_and_what_was_ingested_stays(capsys: pytest.CaptureFixture[str]) -> None:
    batch = land()
    ingest()
    before = {path: file_digest(path) for path in RAW.rglob("*.parquet")}, read_index()
    cells(batch, label="b")
    capsys.readouterr()
    with pytest.raises(ContractBroken, match="1 of 1 batches"):
        ingest()
    told = capsys.readouterr().err
    assert told.startswith("night-1: refused: changed after it was ingested (digest ")
    assert "put the folder back as it was, or land the new rows as a batch of another name" in told
    assert ({path: file_digest(path) for path in RAW.rglob("*.parquet")}, read_index()) == before


# Bad parameters: refused at the door of every stage


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trian": {"epochs": 3}}, "unknown key in params.yaml: 'trian'; known: .*train"),
        ({"train": {"epoch": 3}}, "unknown key in params.yaml: 'train.epoch'; known: .*epochs"),
        ({"train": {"epochs": "many"}}, "params.yaml: train.epochs must be of type int, got 'many'"),
        (
            {"train": {"learning_rate": "1e-3"}},
            "train.learning_rate must be a finite number, got '1e-3'; to YAML that is a text",
        ),
        ({"gate": {"margin": float("nan")}}, "params.yaml: gate.margin must be a finite number, got nan"),
        (
            {"fusions": ["concat", "blend"]},
            "unknown fusion in params.yaml: 'blend'; known: attention, concat, convolutional",
        ),
        (
            {"modalities": {"image": {"kind": "film"}}},
            "unknown kind in params.yaml: modalities.image.kind = 'film'; known: audio",
        ),
    ],
)
def test_bad_parameters_are_named_with_what_is_known(change: dict[str, Any], message: str) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | change))
    with pytest.raises(TasksError, match=message):
        validate()


# A bad machine: one line, exit code 2, nothing started


def call(*words: str, folder: Path | None = None, options: tuple[str, ...] = (), **settings: str) -> tuple[int, str, str]:
    """Run `python -m words`; exit code, output, errors."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    command = [sys.executable, *options, "-m", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_stage_refuses_another_environment_in_one_line() -> None:
    Path("requirements.lock").write_text("numpy==0.1\nno-such-package==1.0 # a comment\n")
    code, output, told = call("tasks.profile", "image")
    assert (code, output) == (2, "")
    assert told == (
        f"nightloom: the environment is not that of requirements.lock: numpy is {np.__version__} (lock: ==0.1);"
        " no-such-package is not installed (lock: ==1.0). Run `make install`.\n"
    )


def test_a_stage_of_a_python_without_packages_says_where_they_are() -> None:
    code, output, told = call("tasks.profile", "image", options=("-S",))
    assert (code, output) == (2, "")
    assert told == (
        f"nightloom: {sys.executable} has no numpy, packaging, pyarrow, torch, yaml: it is not the Python of .venv."
        " Run `make install`, then `. .venv/bin/activate`.\n"
    )


def test_a_lock_with_a_line_that_is_none_is_told() -> None:
    Path("requirements.lock").write_text("pyyaml\n<<<<<<< HEAD\n")
    code, _, told = call("tasks.profile", "image")
    assert code == 2
    assert told == (
        "nightloom: '<<<<<<< HEAD' in requirements.lock is no requirement such as numpy==2.3.5:"
        " `git checkout -- requirements.lock`\n"
    )


@pytest.fixture
def checkout(project: Path) -> Path:
    """A git repository whose environment fits."""
    (project / "requirements.lock").write_text("pyyaml>=1\n")
    (project / ".gitignore").write_text("/.nightloom/\n/data/0_landing\n")
    git("init", "--quiet", "--initial-branch=main", cwd=project)
    git("add", "--all", cwd=project)
    git("commit", "--quiet", "--message=start", cwd=project)
    return project


def test_make_run_outside_git_says_how_to_make_it_a_repository(project: Path) -> None:
    assert call("tasks.embedded", "run") == (
        2,
        "",
        f"nightloom: {project} is not a git repository, and a run is a commit: clone Nightloom with git, or make this folder"
        " one: `git init && git add --all && git commit -m start`\n",
    )


def test_make_run_with_a_taken_port_names_another(checkout: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert call("tasks.embedded", "run", NIGHTLOOM_PORT=str(number)) == (
            2,
            "",
            f"nightloom: port {number} on 127.0.0.1 is taken by another program; choose another one:"
            f" `NIGHTLOOM_PORT={number + 1} make run`\n",
        )


def test_a_second_make_run_is_told_who_is_at_work(checkout: Path) -> None:
    home = checkout / ".nightloom"
    with preflight.only_one(home, "make run"):
        assert call("tasks.embedded", "run") == (
            2,
            "",
            f"nightloom: `make run` (process {os.getpid()}) is at work in {home}: wait until it ends, or stop it with Ctrl-C\n",
        )


def test_uncommitted_changes_are_named_and_left_out(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "params.yaml").write_text("seed: 1\n")
    (checkout / "new.py").write_text("")
    night.prepare(checkout, settings())
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "left out, because not committed: 2 changed files (new.py, params.yaml)"
    assert "seed" not in (checkout / ".nightloom/deployed/params.yaml").read_text()
    assert (checkout / "params.yaml").read_text() == "seed: 1\n"


def test_dvc_repro_on_a_tree_without_data_says_what_to_do(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(ROOT), str(clone))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": path}
    done = subprocess.run(["dvc", "repro"], cwd=clone, env=environment, capture_output=True, text=True, check=False)
    told = done.stderr.splitlines()
    assert done.returncode != 0
    assert told[0] == f"nightloom: {NO_DATA}"
    assert len(told) == 2  # the other is DVC's own
    assert told[1].startswith("ERROR: failed to reproduce 'profile@")
    assert git("status", "--porcelain", cwd=clone) == ""
