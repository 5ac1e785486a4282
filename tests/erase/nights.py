"""Nights of a small project whose stages copy what they read, so that whoever landed is everywhere."""

import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from tasks.files import write_bytes
from tasks.promote import registry
from tasks.promote.announce import announce, tag_object
from tasks.run import graph, lock
from tasks.run.git import git
from tasks.run.open import NIGHTLY
from tasks.run.settings import Settings
from tasks.run.stage import run_stage
from tasks.run.workspace import workspace
from tests.run.conftest import Project, create
from tests.run.test_landed import land_events
from tests.run.test_open import land, opening

GONE, OTHER = "patient-77", "patient-78"

DVC_YAML = """
stages:
  profile:
    foreach: ${modalities}
    do:
      cmd: mkdir -p data/2_profiles && cp -rL data/1_raw/${key} data/2_profiles/${key} && echo "work decoded=3"
      deps: [data/1_raw.json]
      params: ["modalities.${key}"]
      outs: ["data/2_profiles/${key}"]
      meta: {reads: ["data/1_raw/${key}"]}
  validate:
    cmd: python told.py
    deps: [data/2_profiles, data/1_raw.json, told.py]
    outs: [data/3_manifest]
    meta: {reads: [data/1_raw/samples]}
  train: # a model that knows words
    cmd: mkdir -p data/5_models/bundle && echo '{"words":["one"]}' > data/5_models/bundle/bundle.json
    deps: [data/3_manifest]
    outs: [data/5_models/bundle]
"""
TOLD = """
import json
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
from tasks_index import stems
tables = [pq.read_table(f"data/1_raw/{path}") for path in stems()]
to = Path("data/3_manifest")
to.mkdir(parents=True)
names = [name for table in tables for name in table["sample_id"].to_pylist()]
pq.write_table(pa.table({"sample_id": names, "split": ["train"] * len(names)}), to / "samples.parquet")
(to / "validation.json").write_text(json.dumps({"reason": "look at " + ", ".join(names)}))
"""
INDEX = """
import json
def stems():
    batches = json.load(open("data/1_raw.json"))["batches"]
    return [part["path"] for batch in batches for part in batch["partitions"].get("samples", ())]
"""


def prepare(project: Project) -> None:
    ignored = project.checkout / ".gitignore"
    ignored.write_text(ignored.read_text() + "/data/5_models\n/__pycache__\n")
    (project.checkout / "told.py").write_text(TOLD)
    (project.checkout / "tasks_index.py").write_text(INDEX)
    project.commit(dvc_yaml=DVC_YAML)


def night(project: Project, run: str) -> str:
    """Open a run, run its stages, move `nightly`; return the closed commit."""
    s = project.settings
    opened = opening(project, run)
    fragments: dict = {}
    for name in opened["stages"]:
        done = run_stage(s, opened["commit"], name, fragments)
        fragments[name] = done["lock"]
    with workspace(s, opened["commit"], "close") as folder, chdir(folder):
        lock.merge(folder, fragments, [stage.name for stage in graph.stages(folder)])
        git("add", "--all", cwd=folder)
        parents = git("log", "-1", "--format=%P", opened["commit"], cwd=folder).split()
        options = [word for parent in parents for word in ("-p", parent)]
        message = f"keep: {run}\n\nRun: {run}\nWork: profile@a decoded=3\n"
        commit = git("commit-tree", git("write-tree", cwd=folder), *options, stdin=message, cwd=folder)
        git("push", "--quiet", s.central, f"{commit}:{NIGHTLY}", cwd=folder)
    page = s.reports / run / "index.html"
    write_bytes(page, git("show", f"{commit}:data/1_raw.json", cwd=s.central).encode())
    return commit


def crown(project: Project, version: str) -> None:
    """Let a version reign."""
    s = project.settings
    commit = registry.versions(s.central)[version].commit
    with workspace(s, commit, "tag") as folder:
        name = "fused-model#champion#1"
        assert announce(folder, s.central, {name: tag_object(folder, name, commit, 2, name, {"Bundle": "x"})})


def register(project: Project, version: str, commit: str) -> None:
    s = project.settings
    with workspace(s, commit, "tag") as folder:
        name = f"fused-model@{version}"
        assert announce(folder, s.central, {name: tag_object(folder, name, commit, 1, name, {"Bundle": "x"})})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Three nights, each a version: the first does not hold the sample; the reports name it too."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        made = create(folder)
        prepare(made)
        land(made, "night-0", ["s0,x,zero,nought"])
        register(made, "v1.0.0", night(made, "r0"))
        land(made, "night-1", [f"{GONE},x,one,two", f"{OTHER},y,three,four"])
        register(made, "v1.1.0", night(made, "r1"))
        land_events(made, "late", f"{GONE},label,y", f"{OTHER},label,x")
        register(made, "v1.2.0", night(made, "r2"))
        for run in ("r1", "r2"):
            write_bytes(made.settings.reports / run / "index.html", f"<td>{GONE}</td><td>{OTHER}</td>".encode())
        yield made


@pytest.fixture
def nights(base: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(base.settings.home, tmp_path / "home")
    home = tmp_path / "home"
    places = Settings(home, str(home / "central.git"), str(home / "remote"), home / "cache", f"sqlite:///{home}/m.db")
    return Project(base.checkout, places)
