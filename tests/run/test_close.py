from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Refused
from tasks.run.close import close
from tasks.run.git import git
from tests.run.conftest import Project
from tests.run.test_open import land, opening, show
from tests.run.test_stage import run


@pytest.fixture
def quiet(project: Project) -> Project:
    """Without MLflow: that it is away is a problem to read, not a failure."""
    return replace(project, settings=replace(project.settings, mlflow="nowhere://"))


def central(project: Project, *words: str) -> str:
    return git(*words, cwd=Path(project.settings.central))


def night(project: Project, name: str, upto: int = 4) -> tuple[dict[str, Any], dict[str, Any]]:
    """Land a batch, open a run, run its first stages: what `open` returned, and the fragments."""
    land(project, name, [f"{name},x,one,two"])
    opened = opening(project, name)
    done: dict[str, Any] = {}
    for stage in opened["stages"][:upto]:
        done[stage] = run(project, opened["commit"], stage, done)
    return opened, done


def admitted(refused: str | None = None, batches: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"admit": {"refused": refused, "batches": list(batches), "docs": "docs"}, "measure": None}


def test_a_judged_run_moves_nightly_once_however_often_it_is_closed(quiet: Project) -> None:
    opened, done = night(quiet, "n1")
    first = close(quiet.settings, opened, done, admitted())
    again = close(quiet.settings, opened, done, admitted())
    assert first["outcome"] == "judged"
    assert first["commit"] == again["commit"] == central(quiet, "rev-parse", "nightly")
    assert "MLflow does not show this run" in first["problems"][-1]
    message = central(quiet, "log", "-1", "--format=%B", "nightly")
    assert message.startswith("promote: n1\n")
    assert "Work: profile@a decoded=3 steps=1" in message
    assert "gate" in central(quiet, "show", "nightly:dvc.lock")
    changed = central(quiet, "diff", "--name-only", opened["commit"], "nightly").splitlines()
    assert changed == ["dvc.lock"]
    assert Path(first["report"]).is_file()


def test_a_failed_run_leaves_nightly_where_it_was_and_says_which_stage(quiet: Project) -> None:
    opened, done = night(quiet, "n1", upto=2)
    closed = close(quiet.settings, opened, done, {"admit": None, "measure": None})
    assert closed["outcome"] == "failed"
    assert closed["problems"][0] == "stage validate did not end well"
    assert "nightly" not in central(quiet, "for-each-ref")
    assert Path(closed["report"]).is_file()


def test_a_rejected_batch_stays_out_and_the_work_behind_dvc_lock_is_remembered(quiet: Project) -> None:
    opened, done = night(quiet, "n1")
    close(quiet.settings, opened, done, admitted())
    lock = central(quiet, "show", "nightly:dvc.lock")
    opened, done = night(quiet, "n2", upto=3)
    closed = close(quiet.settings, opened, done, admitted("too many broken", ("n2",)))
    assert closed["outcome"] == "batch rejected"
    assert closed["problems"] == ["too many broken", closed["problems"][-1]]
    assert central(quiet, "show", "nightly:dvc.lock") == lock
    assert "Work: profile@a decoded=3 steps=1" in central(quiet, "log", "-1", "--format=%B", "nightly")
    ledger = show(quiet, "nightly", "data/batches.json")["batches"]
    assert [(batch["name"], batch["status"]) for batch in ledger] == [("n1", "accepted"), ("n2", "rejected")]
    assert [batch["name"] for batch in show(quiet, "nightly", "data/1_raw.json")["batches"]] == ["n1"]


def test_the_loser_of_two_runs_is_told_who_won(quiet: Project) -> None:
    opened, done = night(quiet, "n1")
    tree, revision = f"{opened['commit']}^{{tree}}", f"{opened['commit']}^"
    central(
        quiet, "update-ref", "refs/heads/nightly", central(quiet, "commit-tree", tree, "-p", revision, "-m", "promote: other")
    )
    with pytest.raises(Refused, match=r"nightly moved while .* ran \(promote: other\): trigger it again"):
        close(quiet.settings, opened, done, admitted())


def test_a_dry_run_moves_nothing(quiet: Project) -> None:
    land(quiet, "n1", ["s1,x,one,two"])
    opened = opening(quiet, "n1", dry_run=True)
    done: dict[str, Any] = {}
    for stage in opened["stages"]:
        done[stage] = run(quiet, opened["commit"], stage, done)
    closed = close(quiet.settings, opened, done, admitted())
    assert (closed["outcome"], closed["dry_run"]) == ("judged", True)
    assert closed["verdict"]["verdict"] == "promote"
    assert "nightly" not in central(quiet, "for-each-ref")
