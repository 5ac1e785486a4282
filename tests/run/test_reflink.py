"""A process that dies while DVC clones a file leaves nothing under the clone's name."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DIES = """
import fcntl, os, signal, sys
from dvc_objects.fs.local import localfs
from tasks.run.reflink import reflink_whole

if sys.argv[1] == "ours":
    reflink_whole()
fcntl.ioctl = lambda *words: os.kill(os.getpid(), signal.SIGKILL)
localfs.reflink("from", "to")
"""
LINKS = """
from pathlib import Path
from dvc_objects.fs.generic import transfer
from dvc_objects.fs.local import localfs
from tasks.run.reflink import reflink_whole

reflink_whole()
transfer(localfs, str(Path("from").absolute()), localfs, str(Path("to").absolute()))
"""


def python(folder: Path, program: str, *words: str) -> int:
    (folder / "from").write_text("content")
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, check=False).returncode


@pytest.mark.parametrize(("whose", "there"), [("dvc", True), ("ours", False)])
def test_a_clone_that_was_killed_is_under_its_temporary_name_alone(tmp_path: Path, whose: str, there: bool) -> None:
    assert python(tmp_path, DIES, whose) == -signal.SIGKILL
    assert (tmp_path / "to").exists() is there  # DVC's own way: the fault is still there, and so is the need for ours
    assert len(list(tmp_path.glob(".*.tmp"))) == (0 if there else 1)


def test_files_arrive_whether_the_file_system_clones_or_not(tmp_path: Path) -> None:
    assert python(tmp_path, LINKS) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from", "to"]
    assert (tmp_path / "to").read_text() == "content"
