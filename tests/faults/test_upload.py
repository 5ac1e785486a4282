"""An upload that is killed half-way, or whose end goes wrong: no object that is not whole, and the next try does not mind.

In a folder a killed push leaves temporary files, on S3 uploads in parts that nobody finished; `make gc` sweeps both.
"""

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from s3fs import S3FileSystem

from tasks.files import file_digest
from tasks.gc import Ages, collect, tries, uploads
from tasks.run.atwork import DAY_S
from tasks.run.failures import Killed
from tasks.run.settings import Settings
from tasks.run.stage import run_stage
from tasks.run.workspace import configure_dvc
from tests.faults.bad import Bad
from tests.faults.remote import BUCKET, REMOTE, halves, lies, objects, unfinished
from tests.run.conftest import Project

PART_MB = 5  # the least that S3 allows; DVC's S3 client would take 50, which is slow to test
LARGE_MB = 2 * PART_MB + 1
WHOLE_MB = 2 * PART_MB - 1  # below two parts it is one request
BEGUN = datetime(2010, 11, 10, 20, 48, 33, tzinfo=UTC).timestamp()  # when moto says that an upload was begun, any upload
LARGE = f"""
stages:
  profile:
    cmd: seq 9999999 | head -c {LARGE_MB << 20} > data/2_profiles
    deps: [data/1_raw.json]
    outs: [data/2_profiles]
"""
PUSHER = f"""
import s3fs.core
from dvc.repo import Repo
s3fs.core.calculate_chunksize = lambda *_, **__: {PART_MB << 20}
with Repo() as repo:
    print("pushing", flush=True)
    repo.push()
"""


def pushing(folder: Path) -> "subprocess.Popen[str]":
    """A `dvc push` that has begun."""
    push = subprocess.Popen(
        [sys.executable, "-c", PUSHER], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert push.stdout is not None
    push.stdout.readline()
    return push


def killed(push: "subprocess.Popen[str]") -> None:
    push.send_signal(signal.SIGKILL)
    push.communicate()


def add(folder: Path, sizes_mb: dict[str, int]) -> None:
    """Let DVC keep files of random bytes."""
    for name, size in sizes_mb.items():
        (folder / name).write_bytes(random.Random(name).randbytes(size << 20))
    subprocess.run(["dvc", "add", "--quiet", *sizes_mb], cwd=folder, check=True)


def test_a_push_to_a_folder_that_is_killed_leaves_nothing_half_written_and_can_be_done_again(project: Project) -> None:
    folder, remote = project.checkout, Path(project.settings.remote)
    add(folder, {f"large-{number}": 40 for number in range(4)})
    push = pushing(folder)
    end = time.monotonic() + 60
    while push.poll() is None and not list(remote.glob("files/md5/*/.*.tmp")) and time.monotonic() < end:
        time.sleep(0.001)
    killed(push)
    assert halves(remote) == []
    left = tries.halves([remote], lambda: time.time() + 2 * DAY_S)  # `make gc`, two days later
    assert tries.halves([remote]) == []  # today it may be at work
    assert {path for path in remote.rglob("*") if path.name.endswith(".tmp")} == set(left)
    tries.drop(left)
    assert not list(remote.rglob("*.tmp"))
    subprocess.run(["dvc", "push", "--quiet"], cwd=folder, check=True)
    assert halves(remote) == []
    assert sum(path.stat().st_size == 40 << 20 for path in remote.glob("files/md5/*/*")) >= 4


def cut_off(project: Project, bad: Bad, size_mb: int, word: str = "") -> str:
    """Push a large and a small file to S3, killed in the middle of the large one; the name of its object."""
    s = on_s3(project, bad)
    configure_dvc(project.checkout, s, s.cache)
    add(project.checkout, {"large": size_mb, "small": 1})
    name = f"{(digest := file_digest(project.checkout / 'large', 'md5'))[:2]}/{digest[2:]}"
    bad.stand(word or name)
    push = pushing(project.checkout)
    assert bad.halted.wait(60)
    assert push.poll() is None
    killed(push)
    bad.go()
    return name


def on_s3(project: Project, bad: Bad) -> Settings:
    return replace(project.settings, remote=REMOTE, s3_endpoint=bad.url)


def test_a_push_to_s3_that_is_killed_leaves_no_object_and_can_be_done_again(project: Project, store: Any, bad: Bad) -> None:
    name = cut_off(project, bad, WHOLE_MB)
    assert lies(store) == unfinished(store) == []
    assert name.replace("/", "") not in objects(store)
    subprocess.run(["dvc", "push", "--quiet"], cwd=project.checkout, check=True)
    assert lies(store) == []
    assert len(objects(store)[name.replace("/", "")]) == WHOLE_MB << 20


def test_a_push_in_parts_that_is_killed_leaves_no_object_is_swept_and_can_be_done_again(
    project: Project, store: Any, bad: Bad
) -> None:
    name = cut_off(project, bad, LARGE_MB, "partNumber=2")
    held = objects(store)
    assert lies(store) == []
    assert name.replace("/", "") not in held
    assert unfinished(store) == [f"remote/files/md5/{name}"]
    other = store.create_multipart_upload(Bucket=BUCKET, Key="landing/night/large.wav")  # somebody else's

    def gc(age_s: float, yes: bool) -> list[str]:
        return collect(on_s3(project, bad), project.checkout, Ages(), yes, idle=True, clock=lambda: BEGUN + age_s)

    assert "0 uploads to S3 that nobody finished" in gc(DAY_S - 1, yes=True)  # it may be at work
    assert "1 uploads to S3 that nobody finished" in gc(DAY_S + 1, yes=False)
    assert len(unfinished(store)) == 2
    assert "1 uploads to S3 that nobody finished" in gc(DAY_S + 1, yes=True)
    assert unfinished(store) == ["landing/night/large.wav"]
    assert objects(store) == held
    store.abort_multipart_upload(Bucket=BUCKET, Key="landing/night/large.wav", UploadId=other["UploadId"])
    subprocess.run(["dvc", "push", "--quiet"], cwd=project.checkout, check=True)
    assert lies(store) == unfinished(store) == []
    assert len(objects(store)[name.replace("/", "")]) == LARGE_MB << 20


def test_a_store_that_does_not_say_what_is_unfinished_does_not_stop_gc(store: Any) -> None:
    (told,) = uploads.clean("s3://nowhere/remote", yes=True)
    assert "let the store end them by a lifecycle rule" in told
    assert "NoSuchBucket" in told
    assert uploads.clean("/folder/remote", yes=True) == []


@pytest.mark.parametrize(("how", "why"), [("refuse", "internal error"), ("lie", "upload does not exist")])
def test_an_error_after_the_200_of_an_upload_in_parts_is_no_success(
    project: Project, store: Any, bad: Bad, how: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try gets nothing else; the second one gets it once, which is within its retries, or finds the object."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_, **__: PART_MB << 20)
    commit, s = project.commit(dvc_yaml=LARGE), on_s3(project, bad)
    S3FileSystem.clear_instance_cache()
    bad.completions = [how] * 100
    with pytest.raises(Killed, match=f"DVC could not push data/2_profiles: .*{why}"):
        run_stage(s, commit, "profile", {})
    assert len(bad.completions) < 100
    assert lies(store) == unfinished(store) == []
    bad.completions = [how]
    done = run_stage(s, commit, "profile", {})
    assert bad.completions == ([] if how == "refuse" else ["lie"])
    assert lies(store) == unfinished(store) == []
    assert len(objects(store)[done["lock"]["outs"][0]["md5"]]) == LARGE_MB << 20
