"""A small project with real git and DVC: two modalities, the stages' names of the real one, commands of one line."""

import atexit
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tasks.run.git import git
from tasks.run.settings import Settings

DVC_YAML = """
stages:
  profile:
    foreach: ${modalities}
    do:
      cmd: mkdir -p data/2_profiles && wc -c < data/1_raw.json > data/2_profiles/${key} && echo "work decoded=3 steps=1"
      deps: [data/1_raw.json]
      params: ["modalities.${key}"]
      outs: ["data/2_profiles/${key}"]
  validate:
    cmd: mkdir data/3_manifest && cat data/2_profiles/* > data/3_manifest/all
    deps: [data/2_profiles]
    outs: [data/3_manifest]
  gate:
    cmd: mkdir -p data/6_reports && cp verdict.json data/6_reports/verdict.json
    deps: [data/3_manifest, data/champion, verdict.json]
    outs: [data/6_reports/verdict.json]
    meta: {airflow: {pool: gpu}}
"""


PARAMS = """
ingest: {landing: home/landing}
modalities: {a: {kind: text}, b: {kind: text}}
targets: {label: {}}
"""


@dataclass(frozen=True)
class Project:
    """A checkout and the settings of its runs."""

    checkout: Path
    settings: Settings

    def commit(self, **files: str) -> str:
        """Commit files (`dvc_yaml` is dvc.yaml) and push them to central's main."""
        for name, content in files.items():
            path = self.checkout / name.replace("__", "/").replace("_yaml", ".yaml").replace("_json", ".json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        git("add", "--all", cwd=self.checkout)
        git("commit", "--quiet", "--allow-empty", "-m", "change", cwd=self.checkout)
        git("push", "--quiet", self.settings.central, "HEAD:refs/heads/main", cwd=self.checkout)
        return git("rev-parse", "HEAD", cwd=self.checkout)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path))
    return create(tmp_path)


def create(tmp_path: Path, of: Path | None = None) -> Project:
    """Make the project below a folder: a copy of the one below `of`, or else of one that is made once."""
    home, checkout = tmp_path / "home", tmp_path / "checkout"
    shutil.copytree((of or template()) / "home", home, symlinks=True, dirs_exist_ok=True)
    shutil.copytree((of or template()) / "checkout", checkout, symlinks=True)
    tell(checkout, home)
    return Project(
        checkout, Settings(home, str(home / "central.git"), str(home / "remote"), home / "cache", f"sqlite:///{home}/m.db")
    )


def tell(checkout: Path, home: Path) -> None:
    """Say where cache and remote are."""
    (checkout / ".dvc/config.local").write_text(
        f"[cache]\n    dir = {home / 'cache'}\n['remote \"nightloom\"']\n    url = {home / 'remote'}\n"
    )


@cache
def template() -> Path:
    """The project that the others are copies of: DVC takes seconds to make one."""
    folder = Path(tempfile.mkdtemp(prefix="nightloom-project-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    home, checkout = folder / "home", folder / "checkout"
    central = str(home / "central.git")
    git("init", "--quiet", "--bare", "--initial-branch=main", central)
    git("init", "--quiet", "--initial-branch=main", str(checkout))
    subprocess.run(["dvc", "init", "--quiet"], cwd=checkout, check=True)
    (checkout / ".gitignore").write_text(
        "/data/1_raw\n/data/2_profiles\n/data/3_manifest\n/data/6_reports\n/data/champion\n/data/anchor\n/data/start\n"
        "/data/champion_manifest\n/data/anchor_manifest\n"
    )
    (checkout / ".dvc/config").write_text("[core]\n    remote = nightloom\n['remote \"nightloom\"']\n    url = nowhere\n")
    (checkout / "data/champion").mkdir(parents=True)
    tell(checkout, home)
    subprocess.run(["dvc", "add", "--quiet", "data/champion"], cwd=checkout, check=True)
    (checkout / "dvc.yaml").write_text(DVC_YAML)
    (checkout / "verdict.json").write_text(json.dumps({"verdict": "promote", "decided_by": "floor", "rows": []}))
    (checkout / "params.yaml").write_text(PARAMS)
    subprocess.run(["dvc", "push", "--quiet", "data/champion"], cwd=checkout, check=True)
    made = Project(checkout, Settings(home, central, str(home / "remote"), home / "cache", ""))
    made.commit(**{f"data__{name}_json": '{"batches": []}' for name in ("1_raw", "reference", "batches")})
    return folder
