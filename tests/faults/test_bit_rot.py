"""Bytes that flip, are cut or vanish in DVC's remote or in this machine's cache never reach a stage."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.files import file_digest
from tasks.run.git import git
from tests.faults.stages import ended, run
from tests.run.conftest import DVC_YAML, Project

# `validate` tells what it reads, so that a test sees what a stage was given.
READS = DVC_YAML.replace("cat data/2_profiles/* > data/3_manifest/all", "cat data/2_profiles/* | tee data/3_manifest/all")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(content))
    path.chmod(0o444)  # as DVC leaves what it believes in


def cut(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    path.chmod(0o444)


def delete(path: Path) -> None:
    path.unlink()


Harm = Callable[[Path], None]


@pytest.fixture
def profiled(project: Project) -> tuple[Project, str, dict[str, Any]]:
    """A run whose profiles are done: what `validate` reads lies in the remote and in the cache."""
    commit = project.commit(dvc_yaml=READS, data__1_raw_json='{"batches": [], "of": "some length"}')
    done = {stage: run(project, commit, stage, {}) for stage in ("profile@a", "profile@b")}
    return project, commit, done


def stored(project: Project, place: str, md5: str) -> Path:
    root = Path(project.settings.remote) if place == "remote" else project.settings.cache
    return root / "files/md5" / md5[:2] / md5[2:]


def profile(done: dict[str, Any]) -> str:
    return str(done["profile@a"]["lock"]["outs"][0]["md5"])


@pytest.mark.parametrize("harm", [flip, cut, delete])
def test_what_rots_in_the_cache_is_brought_again(profiled: tuple[Project, str, dict[str, Any]], harm: Harm) -> None:
    project, commit, done = profiled
    good = run(project, commit, "validate", done)
    shutil.rmtree(stored(project, "remote", good["lock"]["outs"][0]["md5"]).parent)
    shutil.rmtree(stored(project, "cache", good["lock"]["outs"][0]["md5"]).parent)
    harm(stored(project, "cache", profile(done)))

    again = run(project, commit, "validate", done)

    assert again["lock"] == good["lock"]
    assert file_digest(stored(project, "cache", profile(done)), "md5") == profile(done)


def empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [cut, delete, empty])
def test_the_list_of_a_folder_that_rots_in_the_remote_is_pushed_again(
    profiled: tuple[Project, str, dict[str, Any]], harm: Harm
) -> None:
    project, commit, done = profiled
    good = run(project, commit, "validate", done)
    name = good["lock"]["outs"][0]["md5"]
    assert name.endswith(".dir")
    harm(stored(project, "remote", name))

    assert run(project, commit, "validate", done)["lock"] == good["lock"]

    assert stored(project, "remote", name).read_bytes() == stored(project, "cache", name).read_bytes()


@pytest.mark.parametrize("harm", [flip, cut, delete])
def test_what_rots_in_the_remote_is_told_and_never_read(profiled: tuple[Project, str, dict[str, Any]], harm: Harm) -> None:
    project, commit, done = profiled
    shutil.rmtree(project.settings.cache)
    harm(stored(project, "remote", profile(done)))
    code, last, lines = ended(project, commit, "validate", done)
    assert code == 1  # a backup may be back at the next try
    assert last.startswith("nightloom: the DVC remote lacks data/2_profiles/a")
    assert "Running stage" not in "".join(lines)


def test_what_rots_in_both_is_told_and_never_read(profiled: tuple[Project, str, dict[str, Any]]) -> None:
    project, commit, done = profiled
    for place in ("cache", "remote"):
        flip(stored(project, place, profile(done)))
    code, last, lines = ended(project, commit, "validate", done)
    assert code == 1
    assert "the DVC remote lacks data/2_profiles/a" in last
    assert "Running stage" not in "".join(lines)


@pytest.mark.parametrize("harm", [flip, cut])
def test_the_list_of_a_folder_that_rots_in_the_cache_is_brought_again(
    profiled: tuple[Project, str, dict[str, Any]], harm: Harm
) -> None:
    project, commit, done = profiled
    done["validate"] = run(project, commit, "validate", done)
    good = run(project, commit, "gate", done)
    harm(stored(project, "cache", str(done["validate"]["lock"]["outs"][0]["md5"])))
    git("commit", "--quiet", "--allow-empty", "-m", "later", cwd=project.checkout)
    assert run(project, commit, "gate", done)["lock"] == good["lock"]
