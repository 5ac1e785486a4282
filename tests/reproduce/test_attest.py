"""What making a version again came to stands in the registry, once, and the tools that read the registry still do."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import UnknownName
from tasks.promote import registry
from tasks.promote.announce import announce, tag_object
from tasks.reproduce import platform_facts
from tasks.reproduce.attest import attest, attestations
from tasks.run.git import git
from tasks.run.settings import Settings

DIFFERS = ["select: out data/5_models/bundle: wanted md5 1, got 2"]


@pytest.fixture
def s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A central with v1.0.0, which reigns, and v1.1.0, which does not."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    made = Settings(tmp_path, str(tmp_path / "central.git"), str(tmp_path / "remote"), tmp_path / "cache", "")
    folder = tmp_path / "checkout"
    git("init", "--quiet", "--bare", "--initial-branch=nightly", made.central)
    git("clone", "--quiet", made.central, str(folder))
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("")
    artifact = "artifacts:\n  fused-model: {path: data/5_models/bundle, type: model}\n"
    for version, names in (("v1.0.0", ["fused-model@v1.0.0", "fused-model#champion#1"]), ("v1.1.0", ["fused-model@v1.1.0"])):
        (folder / "dvc.yaml").write_text(f"{artifact}# {version}\n")
        git("add", "--all", cwd=folder)
        git("commit", "--quiet", "--message", version, cwd=folder)
        git("push", "--quiet", "origin", "HEAD:nightly", cwd=folder)
        commit = git("rev-parse", "HEAD", cwd=folder)
        announce(folder, made.central, {name: tag_object(folder, name, commit, 1_900_000_000, "x", {}) for name in names})
    return made


def remade(*differing: str) -> dict[str, Any]:
    return {"differing": list(differing), "work_differing": [], "stages": 3, "seconds": 1.5, "platform": platform_facts()}


def test_the_outcome_is_a_tag_on_the_versions_commit(s: Settings, tmp_path: Path) -> None:
    first = attest(s, "v1.0.0", remade(), "verify-1", "Ada\nOutcome: forged")
    second = attest(s, "fused-model@v1.1.0", remade(*DIFFERS), "verify-2", "trigger form")
    third = attest(s, "v1.1.0", remade(), "verify-3", "Ada")
    assert [told["tag"].removeprefix("fused-model") for told in (first, second, third)] == [
        "#verified#1",
        "#differs#2",
        "#verified#3",
    ]
    assert (first["outcome"], second["outcome"], second["differing"]) == ("bit-identical", DIFFERS[0], DIFFERS)
    past = attestations(registry.tags(s.central))
    commits = {version: tag.commit for version, tag in registry.versions(s.central).items()}
    assert [(entry.number, entry.same, entry.tag.commit) for entry in past] == [
        (1, True, commits["v1.0.0"]),
        (2, False, commits["v1.1.0"]),
        (3, True, commits["v1.1.0"]),
    ]
    assert past[0].tag.trailers == {
        "Version": "v1.0.0",
        "Outcome": "bit-identical",
        "Work": "the same",
        "Run": "verify-1",
        "Asked-by": "Ada Outcome: forged",
        "Platform": platform_facts(),
        "Previous": "none",
    }
    assert [entry.tag.trailers["Previous"] for entry in past[1:]] == [entry.tag.object for entry in past[:-1]]
    champion = registry.champion(s.central)
    assert champion is not None
    assert (champion.number, champion.version) == (1, "v1.0.0")
    for command in ("history", "show"):
        told = gto(command, s, tmp_path)
        assert "verified" in told
    stages = json.loads(gto("show", s, tmp_path))["fused-model"]["stage"]
    assert stages == {"champion": "v1.0.0", "verified": "v1.1.0", "differs": "v1.1.0"}


def gto(command: str, s: Settings, cwd: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    words = ["gto", command, "--repo", s.central, "--json"]
    return subprocess.run(words, cwd=cwd, env={**os.environ, "PATH": path}, check=True, capture_output=True, text=True).stdout


def test_twice_is_once_and_unknown_versions_are_named(s: Settings) -> None:
    first = attest(s, "v1.0.0", remade(), "verify-1", "Ada")
    refs = git("for-each-ref", cwd=Path(s.central))
    assert attest(s, "v1.0.0", remade(), "verify-1", "Ada") == first
    with pytest.raises(UnknownName, match=r"unknown version 'v9\.0\.0'; known: v1\.0\.0, v1\.1\.0"):
        attest(s, "v9.0.0", remade(), "verify-2", "Ada")
    assert git("for-each-ref", cwd=Path(s.central)) == refs


def _attest(s: Settings, run: str, barrier: Any) -> None:
    barrier.wait(timeout=60)
    attest(s, "v1.0.0", remade(), run, "Ada")


def test_many_at_once_all_get_a_number_of_their_own(s: Settings) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    runs = ["verify-0", "verify-1", "verify-2", "verify-2"]  # the last one is delivered twice
    all_at_once = [context.Process(target=_attest, args=(s, run, barrier)) for run in runs]
    for process in all_at_once:
        process.start()
    for process in all_at_once:
        process.join(timeout=120)
        assert process.exitcode == 0
    past = attestations(registry.tags(s.central))
    assert [entry.number for entry in past] == [1, 2, 3]
    assert sorted(entry.tag.trailers["Run"] for entry in past) == ["verify-0", "verify-1", "verify-2"]
