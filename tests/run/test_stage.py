import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Refused
from tasks.run import lock
from tasks.run.child import Child
from tasks.run.git import git
from tasks.run.graph import Stage, check_same_graph, stages
from tasks.run.workspace import workspace
from tests.run.conftest import DVC_YAML, Project


def run(project: Project, commit: str, stage: str, fragments: dict[str, Any]) -> dict[str, Any]:
    """Run a stage as Airflow would: in a child of its own."""
    environment = {
        "NIGHTLOOM_HOME": str(project.settings.home),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(Path.cwd()),
    }
    child = Child(
        "tasks.run",
        {"verb": "stage", "run": "r", "opened": {"commit": commit}, "stage": stage, "fragments": fragments},
        environment,
    )
    ended = child.wait()
    assert ended.code == 0, ended.last
    return {**ended.answer, "work": dict(ended.work)}


def test_fragments_of_separate_clones_make_a_lock_that_leaves_nothing_to_do(project: Project) -> None:
    commit = git("rev-parse", "HEAD", cwd=project.checkout)
    done: dict[str, dict[str, Any]] = {}
    for stage in stages(project.checkout):
        done[stage.name] = run(project, commit, stage.name, {name: done[name] for name in stage.upstream})

    with workspace(project.settings, commit, "proof") as folder:
        lock.merge(folder, {name: f["lock"] for name, f in done.items()}, list(done))
        proof = subprocess.run(
            ["dvc", "repro", "--dry", "--allow-missing"], cwd=folder, capture_output=True, text=True, check=True
        )
    assert proof.stdout.strip().endswith("Data and pipelines are up to date.")
    assert list(done) == ["profile@a", "profile@b", "validate", "gate"]
    assert done["profile@a"]["work"] == {"decoded": 3, "steps": 1}
    assert done["profile@a"]["ran"] is True


@pytest.mark.parametrize("content", ["stages: [", "stages: {a: {comand: x}}"])
def test_a_graph_that_cannot_be_read_is_a_mistake_of_its_commit_and_not_tried_again(project: Project, content: str) -> None:
    (project.checkout / "dvc.yaml").write_text(content)
    with pytest.raises(Refused, match=r"dvc\.yaml of this commit cannot be read: .*dvc\.yaml"):
        stages(project.checkout)


def test_a_stage_that_nothing_changed_is_not_run_again(project: Project) -> None:
    commit = git("rev-parse", "HEAD", cwd=project.checkout)
    first = run(project, commit, "profile@a", {})
    with workspace(project.settings, commit, "next") as folder:
        lock.merge(folder, {"profile@a": first["lock"]}, ["profile@a"])
        git("add", "--all", cwd=folder)
        git("commit", "--quiet", "-m", "closed", cwd=folder)
        git("push", "--quiet", project.settings.central, "HEAD:refs/heads/nightly", cwd=folder)
        closed = git("rev-parse", "HEAD", cwd=folder)
    again = run(project, closed, "profile@a", {})
    assert again["ran"] is False
    assert again["work"] == {}
    assert again["lock"] == first["lock"]


def test_workspaces_are_thrown_away_and_never_shared(project: Project) -> None:
    with workspace(project.settings, "main", "x") as one, workspace(project.settings, "main", "x") as two:
        assert one != two
    assert list((project.settings.home / "work").iterdir()) == []


def test_a_stage_added_to_dvc_yaml_shows_up(project: Project, tmp_path: Path) -> None:
    before = {stage.name for stage in stages(project.checkout, tmp_path / "kept")}
    project.commit(dvc_yaml=DVC_YAML + "  extra:\n    cmd: 'true'\n    deps: [data/6_reports/verdict.json]\n")
    after = {stage.name: stage for stage in stages(project.checkout, tmp_path / "kept")}
    assert set(after) - before == {"extra"}
    assert after["extra"].upstream == ("gate",)
    assert after["gate"].airflow == {"pool": "gpu"}


def test_an_unknown_scheduling_key_is_refused_with_the_known_ones(project: Project) -> None:
    project.commit(dvc_yaml=DVC_YAML.replace("pool: gpu", "pol: gpu"))
    with pytest.raises(Exception, match=r"unknown key in dvc.yaml: meta.airflow of stage gate: 'pol'; known: .*pool"):
        stages(project.checkout)


def test_extra_stages_and_other_edges_are_refused_by_name_and_absent_ones_are_not() -> None:
    shown = {"a": [], "b": ["a"], "c": ["b"]}
    check_same_graph(shown, [Stage("a", (), {}), Stage("b", ("a",), {})])
    with pytest.raises(Exception, match="stages that Airflow does not show: d"):
        check_same_graph(shown, [Stage("a", (), {}), Stage("d", ("a",), {})])
    with pytest.raises(Exception, match="stage b of this run waits for nothing, but Airflow shows it after a"):
        check_same_graph(shown, [Stage("a", (), {}), Stage("b", (), {})])
