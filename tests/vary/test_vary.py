"""The command in a small project whose pipeline writes what the real one does: what runs, what is left, what is refused."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import NoData, TasksError
from tasks.index import Batch, Partition, write_index
from tasks.run.git import git
from tasks.run.settings import Settings
from tasks.vary import Asked, vary
from tasks.vary.__main__ import main

ROOT = Path(__file__).parents[2]
DVC_YAML = """\
stages:
  profile:
    foreach: ${modalities}
    do:
      cmd: python step.py profile
      deps: [step.py, data/1_raw]
      params: ["modalities.${key}"]
      outs: ["data/2_profiles/${key}"]
  validate:
    cmd: python step.py validate
    deps: [step.py, data/2_profiles]
    params: [split, targets]
    outs: [data/3_manifest]
  evaluate:
    cmd: python step.py evaluate
    deps: [step.py, data/3_manifest]
    params: [train, gate, seed]
    outs: [data/6_reports/evaluate]
  gate:
    cmd: python step.py gate
    deps: [step.py, data/6_reports/evaluate]
    params: [promotion]
    outs: [data/6_reports/verdict.json]
"""
PARAMS = """\
modalities: {m: {kind: text}}
targets: {label: {classes: [a, b]}}
split: {folds: 3}
train: {epochs: 5}
promotion: auto
gate: {metric: accuracy}
seed: 0
"""
# 30 samples in 15 groups of two, group i in fold i % 3; every fifth answer is wrong.
STEP = """\
import json, sys, time
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq, yaml
stage, params = sys.argv[1], yaml.safe_load(Path("params.yaml").read_text())
with Path("OUTSIDE").open("a") as log:
    log.write(stage + "\\n")
def folder(path):
    Path(path).mkdir(parents=True)
    return Path(path)
ids = [f"s{i:02}" for i in range(30)]
if stage == "profile":
    (folder("data/2_profiles/m") / "x").write_text(Path("data/1_raw/raw").read_text())
if stage == "validate":
    split, to = params["split"], folder("data/3_manifest")
    held = split.get("fold", 0) or 0
    keep = int(15 * split.get("train_share", 1.0))
    parts = ["test" if i // 2 % 3 == held else "train" if i // 2 < keep else "" for i in range(30)]
    columns = {"sample_id": ids, "group": [f"g{i // 2}" for i in range(30)], "split": parts}
    pq.write_table(pa.table({**columns, "label": [i % 2 for i in range(30)]}), to / "samples.parquet")
    (to / "manifest.json").write_text(json.dumps({"targets": {"label": {"type": "classification", "classes": ["a", "b"]}}}))
    met = {"table": "split", "severity": "critical", "success": keep > 5, "reason": "too few groups", "batches": []}
    (to / "validation.json").write_text(json.dumps({"expectations": [met]}))
if stage == "evaluate":
    if params["train"]["epochs"] == 13:
        sys.exit("unlucky")
    time.sleep(60 if params["train"]["epochs"] == 60 else 0)
    to = folder("data/6_reports/evaluate")
    test = pq.read_table("data/3_manifest/samples.parquet").filter(pa.compute.field("split") == "test")
    truth = test["label"].to_pylist()
    said = [1 - t if int(i[1:]) % 5 == 0 else t for i, t in zip(test["sample_id"].to_pylist(), truth)]
    right = sum(a == b for a, b in zip(said, truth)) / len(truth)
    row = {"accuracy": {"value": right, "low": right - 0.1, "high": min(right + 0.1, 1)}}
    alone = {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}
    scores = {"target": "label", "metric": "accuracy", "selected": "mean", "samples": len(truth), "groups": len(truth) // 2}
    (to / "scores.json").write_text(json.dumps({**scores, "candidates": {"mean": row, "alone-m": alone}}))
    answers = {"label__0": [float(a == 0) for a in said], "label__1": [float(a == 1) for a in said]}
    answers = {"sample_id": test["sample_id"], "group": test["group"], "label": test["label"], **answers}
    pq.write_table(pa.table(answers), to / "predictions.parquet")
if stage == "gate":
    Path("data/6_reports/verdict.json").write_text("{}")
"""


class Project:
    """A central whose `nightly` is a closed night of the small pipeline; `main` has the code, and 7 epochs, and no data."""

    def __init__(self, home: Path) -> None:
        self.s = Settings(home, str(home / "central.git"), str(home / "remote"), home / "cache", "")
        self.checkout, self.log = home.parent / "checkout", home.parent / "log"

    def create(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from dvc.repo import Repo

        git("init", "--quiet", "--bare", "--initial-branch=main", self.s.central)
        git("clone", "--quiet", self.s.central, str(self.checkout))
        monkeypatch.chdir(self.checkout)
        files = {
            ".dvc/config": "[core]\n    remote = nightloom\n['remote \"nightloom\"']\n"
            f"    url = {self.s.remote}\n[cache]\n    dir = {self.s.cache}\n",
            ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
            ".gitignore": "/data/1_raw\n/data/2_profiles\n/data/3_manifest\n/data/6_reports\n",
            "dvc.yaml": DVC_YAML,
            "params.yaml": PARAMS.replace("epochs: 5", "epochs: 7"),
            "step.py": STEP.replace("OUTSIDE", str(self.log)),
            "data/1_raw/raw": "raw\n",
        }
        for name, content in files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(content)
        write_index([], Path("data/1_raw.json"))
        self.commit("main")
        Path("params.yaml").write_text(PARAMS)
        write_index(
            [Batch("night-1", "0" * 64, {"samples": (Partition("samples/n.parquet", 30, "0" * 32),)})], Path("data/1_raw.json")
        )
        with Repo() as repo:
            repo.add("data/1_raw")
            repo.reproduce(run_cache=False)
            repo.push()
        self.commit("nightly")

    def commit(self, branch: str) -> None:
        git("add", "--all", cwd=self.checkout)
        git("commit", "--quiet", "--message", branch, cwd=self.checkout)
        git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}", cwd=self.checkout)

    def ran(self) -> list[str]:
        """What ran since it was last asked."""
        lines = self.log.read_text().splitlines() if self.log.is_file() else []
        self.log.unlink(missing_ok=True)
        return lines

    def world(self) -> list[str]:
        """What must stay as it is: central's refs, the checkout, DVC's remote."""
        remote = sorted(str(path) for path in Path(self.s.remote).rglob("*"))
        return [git("for-each-ref", cwd=Path(self.s.central)), git("status", "--short", cwd=self.checkout), *remote]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    home = tmp_path_factory.mktemp("project") / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home / "user"))
        patch.setenv("NIGHTLOOM_HOME", str(home))
        made = Project(home)
        made.create(patch)
        patch.chdir(ROOT)  # where `python -m tasks.vary` runs
        yield made


@pytest.fixture
def project(base: Project) -> Project:
    base.ran()
    shutil.rmtree(base.s.home / "vary", ignore_errors=True)
    return base


def table(project: Project, param: str) -> list[dict[str, str]]:
    with (project.s.home / "vary" / param / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_fold_is_run_once_and_pooled_and_nothing_else_changes(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    before = project.world()
    assert main(["split.fold", "0", "1", "2"]) == 0
    assert project.ran() == [
        "validate",
        *["validate", "evaluate"] * 2,
    ]  # fold 0 is nightly's own split, data are never profiled
    printed = capfd.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith("split.fold = ")][1].startswith(
        "split.fold = 1: mean 0.800 (2 "
    )
    rows = table(project, "split.fold")
    assert [row["split.fold"] for row in rows] == ["0", "1", "2", "pooled"]
    assert [(row["train"], row["samples"], row["groups"]) for row in rows] == [("20", "10", "5")] * 3 + [("", "30", "15")]
    assert [float(row["score"]) for row in rows] == pytest.approx([0.8, 0.8, 0.8, 0.8])
    assert float(rows[3]["low"]) < 0.8 < float(rows[3]["high"])
    assert (project.s.home / "vary/split.fold/curve.png").is_file()
    assert list((project.s.home / "work").iterdir()) == []
    assert project.world() == before
    assert main(["split.fold", "2", "1", "0", "--to", str(project.s.home / "vary/again")]) == 0
    assert project.ran() == []  # DVC's run-cache


def test_the_commits_own_value_costs_nothing_and_what_a_night_would_stop_at_is_said(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["split.train_share", "0.3", "1", "0.6"]) == 0
    assert project.ran() == ["validate", "evaluate"] * 2
    assert [row["train"] for row in table(project, "split.train_share")] == ["4", "20", "12"]
    printed = capfd.readouterr().out
    assert printed.count("a night would stop here: too few groups") == 1
    assert "split.train_share = 1: mean 0.800 (0 stages ran" in printed
    assert "pooled" not in printed


def test_main_is_run_with_what_landed_by_nightly_and_overrides_hold_for_all(project: Project) -> None:
    rows = vary(project.s, Asked("split.fold", ("1", "2"), "main", ("split.folds=4",)), print)
    assert [row.value for row in rows] == ["1", "2"]
    assert project.ran() == ["validate", "evaluate"] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["split.fold", "0", "7"], "params.yaml: split.fold must be 0 … 2, got 7"),
        (["split.train_share", "0.5", "half"], "split.train_share must be a finite number, got 'half'"),
        (["split.fould", "1"], "unknown key in params.yaml: 'split.fould'; known: "),
        (["tran.epochs", "1"], "unknown key in params.yaml: 'tran'; known: "),
        (
            ["promotion", "approve"],
            "promotion changes nothing up to evaluate: only what stands in gate, modalities, seed, split, ",
        ),
        (["train.epochs", "3", "3"], "train.epochs: the same value twice: 3"),
        (["split.train_share", "1", "1.0"], "split.train_share: the same value twice: 1.0"),
        (["train.epochs", "3", "--commit", "nowhere"], "--commit 'nowhere' is no branch, tag or commit of central"),
        (["train.epochs", "3", "--override", "seed"], "override 'seed' must look like train.epochs=20"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_runs(
    project: Project, capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    assert message in capfd.readouterr().err
    assert project.ran() == []
    assert not (project.s.home / "vary").exists()


def test_without_a_night_or_without_data_it_says_what_to_do(project: Project, tmp_path: Path) -> None:
    asked = Asked("split.fold", ("0",))
    nowhere = Settings(tmp_path, str(tmp_path / "central.git"), project.s.remote, project.s.cache, "")
    with pytest.raises(NoData, match=r"no night has run here, .*put a batch into the landing folder and `make run`"):
        vary(nowhere, asked, print)
    git("clone", "--quiet", "--bare", "--branch=main", "--single-branch", project.s.central, nowhere.central)
    with pytest.raises(NoData, match="no batch of samples has landed in central: put a batch"):
        vary(nowhere, asked, print)


def test_a_value_that_fails_is_named_with_what_the_stage_said(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        TasksError, match=r"train\.epochs = 13: the pipeline stopped at stage evaluate; the lines above say why"
    ):
        vary(project.s, Asked("train.epochs", ("5", "13")), print)
    assert "unlucky" in capfd.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_it_leaves_nothing_and_killed_the_next_call_sweeps(project: Project, number: signal.Signals) -> None:
    words = [sys.executable, "-m", "tasks.vary", "train.epochs", "60"]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=dict(os.environ)
    )
    deadline = time.monotonic() + 60
    while "evaluate" not in (project.log.read_text() if project.log.is_file() else "") and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)  # its pipe ends when the last of its children does
    assert project.ran() == ["evaluate"]
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "stopped; nothing is left running" in said
    else:
        assert list((project.s.home / "work").iterdir()) != []
        vary(project.s, Asked("train.epochs", ("5",)), print)
    assert list((project.s.home / "work").iterdir()) == []
    assert not (project.s.home / "vary").exists()
