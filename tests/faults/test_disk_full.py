"""A full disk: one line that says so, nothing half-written under a final name, and with room it goes on."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.run.failures import INFRASTRUCTURE
from tests.faults.remote import halves
from tests.faults.stages import ended, run
from tests.run.conftest import Project

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL_MB, LARGE_MB, OUT_MB = 2, 64, 6
# The stage's own write is what fills the workspace's disk; the cache's and the remote's fill when the out is kept and pushed.
STAGES = """
stages:
  profile:
    cmd: python write.py
    deps: [data/1_raw.json]
    outs: [data/2_profiles]
"""
WRITE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
import tasks.stage
from tasks.files import write_bytes
tasks.stage.check_environment = lambda: None
def write():
    write_bytes(Path("data/2_profiles/out"), bytes(range(256)) * 4 * 1024 * {OUT_MB})
tasks.stage.enter(write)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_MB}m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("place", ["work", "cache", "remote"])
def test_a_full_disk_is_told_and_with_room_it_goes_on(project: Project, disk: Path, place: str) -> None:
    commit = project.commit(dvc_yaml=STAGES, **{"write.py": WRITE})
    s = project.settings
    if place == "work":
        (s.home / "work").symlink_to(disk)
    changed = {"cache": {"cache": disk}, "remote": {"remote": str(disk)}, "work": {}}[place]
    moved = replace(s, **changed)
    full = Project(project.checkout, moved)
    variables = {"NIGHTLOOM_CACHE": str(moved.cache), "NIGHTLOOM_REMOTE": moved.remote}

    code, last, lines = ended(full, commit, "profile", {}, **variables)

    assert code == INFRASTRUCTURE, lines
    assert "no room" in last, last
    assert halves(Path(moved.remote)) == halves(moved.cache) == []
    subprocess.run(["mount", "-o", f"remount,size={LARGE_MB}m", str(disk)], check=True)
    done = run(full, commit, "profile", {}, **variables)
    assert done["lock"]["outs"][0]["size"] == OUT_MB << 20
    assert halves(Path(moved.remote)) == halves(moved.cache) == []
