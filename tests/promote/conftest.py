"""A small project with a real central, a real DVC remote, and nights that close with a verdict."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.files import file_digest, folder_digest, write_json
from tasks.run.git import git
from tasks.run.settings import Settings

DVC_YAML = """\
stages:
  select:
    cmd: "true"
    outs: [data/5_models/bundle]
  gate:
    cmd: "true"
    deps: [data/5_models/bundle, data/1_raw.json, tasks/__init__.py]
    params: [seed]
    outs: [data/6_reports/verdict.json]
artifacts:
  fused-model: {path: data/5_models/bundle, type: model}
"""
CONFIG = """\
[core]
    remote = nightloom
    analytics = false
['remote "nightloom"']
    url = ../../remote
    verify = true
"""


class Project:
    """The checkout that nights are closed in."""

    def __init__(self, home: Path) -> None:
        self.s = Settings(
            home, str(home / "central.git"), str(home / "remote"), home / "cache", f"sqlite:///{home}/mlflow/mlflow.db"
        )
        self.folder = home / "checkout"

    def create(self) -> None:
        git("init", "--quiet", "--bare", "--initial-branch=nightly", self.s.central)
        git("clone", "--quiet", self.s.central, str(self.folder))
        files = {
            ".dvc/config": CONFIG,
            ".gitignore": "/data/5_models/\n/data/6_reports/\n/data/champion/\n",
            ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
            "dvc.yaml": DVC_YAML,
            "params.yaml": "seed: 0\n",
            "requirements.lock": "",
            "tasks/__init__.py": "",
        }
        for name, content in files.items():
            self.write(name, content)

    def write(self, name: str, content: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def close(self, run: str, weights: str, number: int = 0, version: str | None = None, **verdict: Any) -> str:
        """Close a night: a bundle and a verdict against champion `number`; return the commit."""
        from dvc.repo import Repo

        classes = verdict.pop("classes", ["no", "yes"])
        plain = {
            "modalities": {"image": {"kind": "image"}},
            "targets": {"label": {"type": "classification", "classes": classes}},
        }
        bundle = verdict.pop("facts", plain)
        write_json(self.folder / "data/1_raw.json", {"batches": [run]})
        write_json(self.folder / "data/5_models/bundle/bundle.json", bundle)
        self.write("data/5_models/bundle/weights", weights)
        said = {
            "verdict": "promote",
            "decided_by": "against champion",
            "candidate": folder_digest(self.folder / "data/5_models/bundle"),
            "data": file_digest(self.folder / "data/1_raw.json"),
            "champion": {"number": number, "version": version},
            "anchor": {"version": version},
            "becomes_anchor": True,
            "rows": [],
        }
        write_json(self.folder / "data/6_reports/verdict.json", {**said, **verdict})
        self.pin_champion()
        with Repo(str(self.folder)) as repo:
            for stage in ("select", "gate"):
                repo.commit(stage, force=True)
            repo.push(targets=["select", "gate"])
        git("add", "--all", cwd=self.folder)
        git("commit", "--quiet", "--message", f"Close {run}", cwd=self.folder)
        git("push", "--quiet", "origin", "HEAD:refs/heads/nightly", cwd=self.folder)
        return git("rev-parse", "HEAD", cwd=self.folder)

    def pin_champion(self) -> None:
        """Pin the reigning bundle, as a run does when it is opened."""
        from tasks.promote import registry
        from tasks.run import lock
        from tasks.run.workspace import workspace

        reign = registry.champion(self.s.central)
        if reign is not None:
            with workspace(self.s, reign.commit, "pin") as work:
                entry = lock.read(work)["select"]["outs"][0]
            self.write("data/champion.dvc", json.dumps({"outs": [{**entry, "path": "champion"}]}))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made = Project(tmp_path / "home")
    made.s.home.mkdir()
    made.create()
    monkeypatch.chdir(made.folder)  # `dvc commit` wants to stand in its project
    return made
