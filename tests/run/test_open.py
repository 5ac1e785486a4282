import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from tasks.errors import TasksError
from tasks.run.git import git
from tasks.run.graph import stages
from tasks.run.open import Form, _tree, open_run
from tasks.run.workspace import workspace
from tests.run.conftest import Project


def land(project: Project, name: str, rows: Sequence[str], header: str = "sample_id,label,a,b") -> Path:
    folder = project.settings.home / "landing" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def opening(project: Project, run: str, **form: Any) -> dict[str, Any]:
    deployed = {stage.name: list(stage.upstream) for stage in stages(project.checkout)}
    return open_run(project.settings, run, Form(**form), deployed)


def show(project: Project, commit: str, path: str) -> Any:
    return json.loads(git("show", f"{commit}:{path}", cwd=Path(project.settings.central)))


def close(project: Project, commit: str) -> None:
    """What `close` does to the refs."""
    git("update-ref", "refs/heads/nightly", commit, cwd=Path(project.settings.central))


def test_opening_twice_is_opening_once(project: Project) -> None:
    land(project, "night-1", ["s1,x,one,two"])
    first = opening(project, "manual__2026-11-21T01:02:03+00:00")
    again = opening(project, "manual__2026-11-21T01:02:03+00:00")
    assert first == again
    assert first["batches"] == ["night-1"]
    index = show(project, first["commit"], "data/1_raw.json")
    assert [batch["name"] for batch in index["batches"]] == ["night-1"]
    assert show(project, first["commit"], "data/reference.json") == index


def test_what_workspaces_leave_out_is_in_the_commits_of_runs(project: Project) -> None:
    project.commit(**{"tests/test_it.py": "assert True\n", "docs/page.md": "# It\n", "tests.py": "# no folder\n"})
    with workspace(project.settings, "HEAD", "look") as folder:
        assert not {"tests", "docs"} & {path.name for path in folder.iterdir()}
        assert (folder / "tests.py").is_file()
    land(project, "night-1", ["s1,x,one,two"])
    opened = opening(project, "r1")
    paths = git("ls-tree", "-r", "--name-only", opened["commit"], cwd=Path(project.settings.central)).splitlines()
    assert {"tests/test_it.py", "docs/page.md", "tests.py"} <= set(paths)


def test_what_is_written_in_the_second_of_its_checkout_is_committed_whatever_dvc_did_since(project: Project) -> None:
    """A pin of another bundle is as long as the one before; git looks closer while nobody but it wrote the index."""
    project.commit(pin="a" * 32)
    with workspace(project.settings, "HEAD", "look") as folder, contextlib.chdir(folder):
        pin = folder / "pin"
        pin.unlink()
        time.sleep(1.2 - time.time() % 1)  # well into a second: times of files lag behind the clock by some milliseconds
        git("checkout", "--quiet", "HEAD", "--", "pin", cwd=folder)
        checked_out = pin.stat().st_mtime
        pin.write_text("b" * 32)
        assert int(pin.stat().st_mtime) == int(checked_out)
        time.sleep(1 - time.time() % 1)
        (folder / "data/new").mkdir(parents=True)
        with Repo() as repo:
            repo.add(["data/new"])
        tree = _tree(folder)
        assert git("show", f"{tree}:pin", cwd=folder) == "b" * 32
        assert git("show", f"{tree}:data/new.dvc", cwd=folder)


def test_the_second_night_adds_to_the_first_and_keeps_the_reference(project: Project) -> None:
    land(project, "night-1", ["s1,x,one,two"])
    first = opening(project, "r1")
    close(project, first["commit"])
    land(project, "night-2", ["s2,x,three,four"])
    second = opening(project, "r2")
    assert second["batches"] == ["night-2"]
    assert [b["name"] for b in show(project, second["commit"], "data/1_raw.json")["batches"]] == ["night-1", "night-2"]
    assert [b["name"] for b in show(project, second["commit"], "data/reference.json")["batches"]] == ["night-1"]
    parents = git("log", "-1", "--format=%P", second["commit"], cwd=Path(project.settings.central)).split()
    assert parents[0] == first["commit"]


def test_with_nothing_new_no_run_is_made(project: Project) -> None:
    land(project, "night-1", ["s1,x,one,two"])
    close(project, opening(project, "r1")["commit"])
    (project.settings.home / "landing/half").mkdir()
    assert "half has no metadata.csv yet" in opening(project, "r2")["nothing"]


def test_a_batch_changed_after_ingest_is_told_and_what_was_ingested_stays(project: Project) -> None:
    land(project, "night-1", ["s1,x,one,two"])
    close(project, opening(project, "r1")["commit"])
    land(project, "night-1", ["s1,y,one,two"])
    with pytest.raises(TasksError, match="batch night-1: changed after it was ingested"):
        opening(project, "r2")


def test_a_broken_batch_does_not_stop_a_good_one(project: Project) -> None:
    land(project, "bad", ["s1,one,two"], header="sample_id,a,b")
    land(project, "good", ["s1,x,one,two"])
    opened = opening(project, "r1")
    assert opened["batches"] == ["good"]
    assert "batch bad" in opened["problems"][0]
    assert "label" in opened["problems"][0]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"overrides": ["train.epoch=3"]}, r"unknown key in params.yaml: 'train.epoch'; known: .*epochs"),
        ({"overrides": ["train.epochs=many"]}, "train.epochs must be of type int, got 'many'"),
        ({"overrides": ["train.epochs"]}, "must look like train.epochs=20"),
        ({"overrides": ["fusions=[concat,blend]"]}, "unknown fusion in params.yaml: 'blend'; known: attention, concat"),
        ({"overrides": ["modalities.c.kind=text"]}, "stages that Airflow does not show: profile@c"),
        ({"revision": "no-such"}, "revision 'no-such' is no branch, tag or commit of central; branches: main"),
        ({"release": ["night-0"]}, "unknown batch to release: 'night-0'"),
    ],
)
def test_a_form_that_cannot_be_run_is_refused_before_anything_runs(
    project: Project, form: dict[str, Any], message: str
) -> None:
    land(project, "night-1", ["s1,x,one,two"])
    with pytest.raises(TasksError, match=message):
        opening(project, "r1", **form)
    assert "runs" not in git("for-each-ref", cwd=Path(project.settings.central))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("sample_id,a,b", r"nothing usable landed: batch night-1: .*night-1/metadata.csv lacks the column label\. "),
        (None, "nothing usable landed: night-1 has no metadata.csv yet: it is written last"),
    ],
)
def test_a_first_night_with_nothing_usable_says_what_is_wrong_with_what_landed(
    project: Project, header: str | None, message: str
) -> None:
    folder = land(project, "night-1", ["s1,one,two"], header=header or "")
    if header is None:
        (folder / "metadata.csv").unlink()
    with pytest.raises(TasksError, match=message):
        opening(project, "r1")


def test_a_first_night_without_any_batch_is_refused(project: Project) -> None:
    (project.settings.home / "landing").mkdir()
    with pytest.raises(TasksError, match="no batch has landed yet: put one into the landing folder"):
        opening(project, "r1")


def test_overrides_are_part_of_the_commit_and_of_no_other_run(project: Project) -> None:
    land(project, "night-1", ["s1,x,one,two"])
    first = opening(project, "r1", overrides=["train.epochs=3", "seed=7"])
    params = git("show", f"{first['commit']}:params.yaml", cwd=Path(project.settings.central))
    assert "epochs: 3" in params
    assert "seed: 7" in params
    close(project, first["commit"])
    second = opening(project, "r2")
    assert "seed" not in git("show", f"{second['commit']}:params.yaml", cwd=Path(project.settings.central))


def test_the_reference_moves_only_when_asked(project: Project) -> None:
    land(project, "night-1", ["s1,x,one,two"])
    close(project, opening(project, "r1")["commit"])
    land(project, "night-2", ["s2,x,three,four"])
    moved = opening(project, "r2", move_reference=True)
    assert [b["name"] for b in show(project, moved["commit"], "data/reference.json")["batches"]] == ["night-1", "night-2"]


def test_a_rejected_batch_stays_out_until_it_is_released_or_lands_changed(project: Project) -> None:
    land(project, "night-1", ["s1,x,one,two"])
    land(project, "night-2", ["s2,x,three,four"])
    first = opening(project, "r1")
    tree = project.settings.home / "close"
    git("clone", "--quiet", project.settings.central, str(tree))
    git("checkout", "--quiet", "--detach", first["commit"], cwd=tree)
    ledger = json.loads((tree / "data/batches.json").read_text())
    ledger["batches"][1]["status"] = "rejected"
    index = json.loads((tree / "data/1_raw.json").read_text())
    (tree / "data/batches.json").write_text(json.dumps(ledger))
    (tree / "data/1_raw.json").write_text(json.dumps({"batches": index["batches"][:1]}))
    git("commit", "--quiet", "-am", "rejected", cwd=tree)
    git("push", "--quiet", "origin", "HEAD:refs/heads/nightly", cwd=tree)

    assert "no batch landed" in opening(project, "r2")["nothing"]
    released = opening(project, "r3", release=["night-2"])
    assert released["batches"] == ["night-2"]
    assert [b["status"] for b in show(project, released["commit"], "data/batches.json")["batches"]] == ["accepted", "released"]
    land(project, "night-2", ["s2,x,three,five"])
    changed = opening(project, "r4")
    assert [b["status"] for b in show(project, changed["commit"], "data/batches.json")["batches"]] == ["accepted", "accepted"]
    assert opening(project, "r5", release=["night-1"])["batches"] == ["night-2"]  # what is in already needs no release


def test_a_section_that_stages_depend_on_and_params_yaml_lacks_is_named(project: Project) -> None:
    land(project, "night-1", ["s1,x,one,two"])
    text = (project.checkout / "dvc.yaml").read_text()
    project.commit(
        dvc_yaml=text.replace("    deps: [data/2_profiles]", "    deps: [data/2_profiles]\n    params: [validate, split]")
    )
    with pytest.raises(TasksError, match=r"params.yaml lacks split, validate, .* add `split: \{\}`"):
        opening(project, "r1")
