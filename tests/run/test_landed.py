"""What landed late or twice: the order of acceptance decides, no name and no clock; landing again changes nothing."""

import os
import shutil
from pathlib import Path

import pytest

from tasks.errors import Refused
from tests.run.conftest import Project
from tests.run.test_open import close, land, opening, show


def land_events(project: Project, name: str, *rows: str) -> Path:
    folder = project.settings.home / "landing" / name
    folder.mkdir(parents=True)
    (folder / "events.csv").write_text("\n".join(["sample_id,event,value", *rows]) + "\n")
    return folder


def names(project: Project, commit: str, path: str = "data/1_raw.json") -> list[str]:
    return [batch["name"] for batch in show(project, commit, path)["batches"]]


def test_a_batch_that_comes_late_stands_behind_those_accepted_before_it(project: Project) -> None:
    later = land(project, "2026-11-05", ["s5,x,one,two"])
    close(project, opening(project, "r1")["commit"])
    late = land(project, "2026-11-01", ["s1,x,three,four"])  # an older name, older files
    for file in (later, late):
        os.utime(file / "metadata.csv", (0, 0) if file == late else None)
    opened = opening(project, "r2")
    assert opened["batches"] == ["2026-11-01"]
    assert names(project, opened["commit"]) == ["2026-11-05", "2026-11-01"]
    assert names(project, opened["commit"], "data/reference.json") == ["2026-11-05"]


@pytest.mark.parametrize("how", ["same", "touched", "other name", "all"])
def test_landing_again_changes_nothing(project: Project, how: str) -> None:
    folder = land(project, "night-1", ["s1,x,one,two"])
    events = land_events(project, "night-1-late", "s1,label,y")
    close(project, opening(project, "r1")["commit"])
    for one in (folder, events):
        (table,) = one.iterdir()
        content = table.read_bytes()
        if how in {"same", "all"}:
            shutil.rmtree(one)
            one.mkdir()
            table.write_bytes(content)
        if how in {"touched", "all"}:
            os.utime(table, (1, 1))
        if how in {"other name", "all"}:
            shutil.copytree(one, one.with_name(f"copy-of-{one.name}"))
    told = opening(project, "r2")["nothing"]
    assert ("copy-of-night-1 holds what night-1 holds, which was accepted: remove it" in told) == (how in {"other name", "all"})


def test_twice_in_one_night_is_once(project: Project) -> None:
    folder = land(project, "night-1", ["s1,x,one,two"])
    shutil.copytree(folder, folder.with_name("night-2"))
    assert opening(project, "r1")["batches"] == ["night-1"]


def test_the_reference_is_the_first_batch_with_samples(project: Project) -> None:
    land_events(project, "a-events", "s1,label,y")
    with pytest.raises(Refused, match="only events have landed yet: the first night needs a batch of samples"):
        opening(project, "r1")
    land(project, "night-1", ["s1,x,one,two"])
    opened = opening(project, "r2")
    assert names(project, opened["commit"]) == ["a-events", "night-1"]
    assert names(project, opened["commit"], "data/reference.json") == ["night-1"]
    ledger = show(project, opened["commit"], "data/batches.json")["batches"]
    assert [(entry["name"], entry["rows"], entry["status"]) for entry in ledger] == [
        ("a-events", 1, "accepted"),
        ("night-1", 1, "accepted"),
    ]
    close(project, opened["commit"])
    land_events(project, "b-events", "s1,withdrawn,")
    moved = opening(project, "r3", move_reference=True)
    assert names(project, moved["commit"], "data/reference.json") == ["a-events", "night-1", "b-events"]


def test_a_rejected_batch_cannot_come_back_under_another_name(project: Project) -> None:
    folder = land(project, "night-1", ["s1,x,one,two"])
    bad = land(project, "night-2", ["s2,x,one,two"])
    opened = opening(project, "r1")
    import json

    from tasks.run.close import _reject
    from tasks.run.git import git

    tree = project.settings.home / "close"
    git("clone", "--quiet", project.settings.central, str(tree))
    git("checkout", "--quiet", "--detach", opened["commit"], cwd=tree)
    _reject(tree, {"batches": ["night-2"]}, ["night-2"])
    git("commit", "--quiet", "-am", "rejected", cwd=tree)
    git("push", "--quiet", "origin", "HEAD:refs/heads/nightly", cwd=tree)
    assert json.loads((tree / "data/batches.json").read_text())["batches"][1]["status"] == "rejected"
    shutil.move(bad, folder.with_name("night-3"))
    assert "night-3 holds what night-2 holds, which was rejected" in opening(project, "r2")["nothing"]
