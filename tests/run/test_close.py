from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import ContractBroken, Refused
from tasks.promote.announce import tag_object
from tasks.run import git as git_of_run
from tasks.run import nightly
from tasks.run.admit import drifted, failures
from tasks.run.close import close
from tasks.run.git import git
from tests.run.conftest import Project, create
from tests.run.test_open import land, opening, show
from tests.run.test_stage import run


@dataclass(frozen=True)
class Night:
    """A run that is opened and whose stages have run: the project, what `open` returned, and the fragments."""

    project: Project
    opened: dict[str, Any]
    done: dict[str, Any]


@pytest.fixture
def quiet(project: Project) -> Project:
    """Without MLflow: that it is away is a problem to read, not a failure."""
    return replace(project, settings=replace(project.settings, mlflow="nowhere://"))


def central(project: Project, *words: str) -> str:
    return git(*words, cwd=Path(project.settings.central))


def night(project: Project, name: str, upto: int = 4) -> Night:
    """Land a batch, open a run, run its first stages."""
    land(project, name, [f"{name},x,one,two"])
    opened = opening(project, name)
    done: dict[str, Any] = {}
    for stage in opened["stages"][:upto]:
        done[stage] = run(project, opened["commit"], stage, done)
    return Night(project, opened, done)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A first night, made once: each stage is a process of its own."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        return night(create(folder), "n1")


@pytest.fixture
def first(base: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    """A copy of it, without MLflow."""
    monkeypatch.setenv("HOME", str(tmp_path))
    copy = create(tmp_path, of=base.project.settings.home.parent)
    quiet = replace(copy, settings=replace(copy.settings, mlflow="nowhere://"))
    return Night(quiet, dict(base.opened), dict(base.done))


def admitted(refused: str | None = None, batches: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"admit": {"refused": refused, "batches": list(batches), "docs": "docs"}, "measure": None}


def closing(night: Night, **more: Any) -> dict[str, Any]:
    """Close it."""
    return close(night.project.settings, night.opened, night.done, more or admitted())


def test_a_judged_run_moves_nightly_once_however_often_it_is_closed(first: Night) -> None:
    quiet, opened = first.project, first.opened
    closed = closing(first)
    assert closed["outcome"] == "judged"
    assert closed["commit"] == closing(first)["commit"] == central(quiet, "rev-parse", "nightly")
    assert "MLflow does not show this run" in closed["problems"][-1]
    assert closed["mlflow"] is None
    message = central(quiet, "log", "-1", "--format=%B", "nightly")
    assert message.startswith("promote: n1\n")
    assert "Work: profile@a decoded=3 steps=1" in message
    assert "gate" in central(quiet, "show", "nightly:dvc.lock")
    changed = central(quiet, "diff", "--name-only", opened["commit"], "nightly").splitlines()
    assert changed == ["dvc.lock"]
    assert Path(closed["report"]).is_file()


def test_a_fragment_that_its_stage_would_not_write_is_never_closed(first: Night) -> None:
    gate = first.done["gate"]
    first.done["gate"] = {**gate, "lock": {**gate["lock"], "cmd": "echo another"}}
    with pytest.raises(Refused, match="not what the stages would write: DVC would run again: 'gate'"):
        closing(first)
    assert not central(first.project, "for-each-ref", "refs/heads/nightly")


def test_a_failed_run_leaves_nightly_where_it_was_and_says_which_stage(first: Night) -> None:
    quiet = first.project
    for stage in ("validate", "gate"):
        del first.done[stage]
    closed = closing(first, admit=None, measure=None)
    assert closed["outcome"] == "failed"
    assert closed["problems"][0] == "stage validate did not end well"
    assert "nightly" not in central(quiet, "for-each-ref")
    assert Path(closed["report"]).is_file()


def test_a_stage_that_said_why_it_failed_is_told_first(first: Night) -> None:
    for stage in ("validate", "gate"):
        del first.done[stage]
    closed = closing(first, **admitted(), failures={"gate": "no rows"})
    assert closed["problems"][:2] == ["stage gate did not end well: no rows", "stage validate did not end well"]


def test_only_what_is_new_is_told_to_have_drifted() -> None:
    def entry(table: str, ok: bool, *batches: str) -> dict[str, Any]:
        return {"table": table, "success": ok, "batches": list(batches), "reason": f"{table} of {', '.join(batches)}"}

    old, both = entry("drift", False, "n-1-0badcafe"), entry("drift", False, "n-1-0badcafe", "n-2-deadbeef")
    others = [entry("drift", True, "n-2-deadbeef"), entry("samples", False, "n-2-deadbeef")]
    assert drifted({"expectations": [old, both, *others]}, ["n-2"]) == ["drift of n-1-0badcafe, n-2-deadbeef"]
    assert drifted({"expectations": [old]}, []) == []
    assert drifted(None, ["n-2"]) == []


def test_a_rejected_batch_stays_out_and_the_work_behind_dvc_lock_is_remembered(first: Night) -> None:
    quiet = first.project
    closing(first)
    lock = central(quiet, "show", "nightly:dvc.lock")
    closed = closing(night(quiet, "n2", upto=3), **admitted("too many broken", ("n2",)))
    assert closed["outcome"] == "batch rejected"
    assert closed["problems"] == ["too many broken", closed["problems"][-1]]
    assert central(quiet, "show", "nightly:dvc.lock") == lock
    assert "Work: profile@a decoded=3 steps=1" in central(quiet, "log", "-1", "--format=%B", "nightly")
    ledger = show(quiet, "nightly", "data/batches.json")["batches"]
    assert [(batch["name"], batch["status"]) for batch in ledger] == [("n1", "accepted"), ("n2", "rejected")]
    assert [batch["name"] for batch in show(quiet, "nightly", "data/1_raw.json")["batches"]] == ["n1"]


def beside(first: Night, name: str, **form: Any) -> Night:
    """Another run that is opened before the first one closes, of the very same or as the form says.

    Its stages come to the same: none of this project's depends on the seed.
    """
    return replace(first, opened=opening(first.project, name, **form))


def test_the_loser_of_two_runs_is_told_who_won_and_is_judged_again(first: Night) -> None:
    quiet, second = first.project, beside(first, "other", overrides=["seed=1"])
    closing(first)
    refs = central(quiet, "for-each-ref")
    lost = closing(second)
    assert (lost["outcome"], lost["commit"]) == ("overtaken", second.opened["commit"])
    assert lost["problems"][0].startswith("overtaken by run n1 (promote: n1): what this run found is kept")
    assert lost["verdict"]["verdict"] == "promote"
    assert Path(lost["report"]).is_file()
    assert central(quiet, "for-each-ref") == refs
    assert closing(second) == lost
    again = opening(quiet, "again-1__other", overrides=["seed=1"])
    assert central(quiet, "rev-parse", f"{again['commit']}^1") == central(quiet, "rev-parse", "nightly")
    assert again["batches"] == []  # the winner brought it in
    assert not run(quiet, again["commit"], "profile@a", {})["ran"]  # what the winner did is not done again
    assert closing(replace(second, opened=again))["outcome"] == "judged"


def test_of_two_runs_of_the_very_same_the_later_has_nothing_to_do(first: Night) -> None:
    quiet, second = first.project, beside(first, "twin")
    closing(first)
    refs = central(quiet, "for-each-ref")
    twin = closing(second)
    assert twin["outcome"] == "nothing new"
    assert twin["problems"][0] == "run n1 (promote: n1) closed the very same: nothing is left to do"
    assert central(quiet, "for-each-ref") == refs


def test_who_wins_while_we_push_is_named_too(first: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    second = beside(first, "other", overrides=["seed=1"])
    pushed = git_of_run.compare_and_set

    def late(*words: Any) -> bool:
        monkeypatch.setattr(nightly, "compare_and_set", pushed)
        closing(first)
        return pushed(*words)

    monkeypatch.setattr(nightly, "compare_and_set", late)
    lost = closing(second)
    assert lost["outcome"] == "overtaken"
    assert "overtaken by run n1 (promote: n1)" in lost["problems"][0]


def test_a_run_whose_champion_was_replaced_is_judged_again(first: Night) -> None:
    quiet, opened = first.project, first.opened
    names = ("fused-model@v1.0.0", "fused-model#champion#1")
    work = Path(quiet.settings.central)
    for name in names:
        made = tag_object(work, name, opened["commit"], 1, "x", {"Run": "somebody's"})
        central(quiet, "update-ref", f"refs/tags/{name}", made)
    closed = closing(first)
    assert closed["outcome"] == "overtaken"
    assert "overtaken by run somebody's (champion #1 is v1.0.0)" in closed["problems"][0]
    assert "nightly" not in central(quiet, "for-each-ref", "refs/heads")


def test_whether_the_candidate_is_made_again_is_the_runs_own_params_word(quiet: Project) -> None:
    land(quiet, "n1", ["s1,x,one,two"])
    for name, overrides in (("plain", []), ("careful", ["gate.verify=true"])):
        opened = opening(quiet, name, overrides=overrides, dry_run=True)
        assert close(quiet.settings, opened, {}, {"admit": None, "measure": None})["verify"] is (name == "careful")


def test_a_suite_that_expects_nothing_admits_nothing() -> None:
    with pytest.raises(ContractBroken, match="an empty suite passes everything, so nothing is admitted"):
        failures({"success": True, "expectations": []})
    kinds = [("critical", True), ("critical", False), ("critical", None), ("warning", False)]
    expectations = [{"severity": severity, "success": success} for severity, success in kinds]
    assert failures({"expectations": expectations}) == expectations[1:3]  # an answer that is missing is no yes


def test_a_dry_run_moves_nothing(first: Night) -> None:
    closed = closing(beside(first, "dry", dry_run=True))
    assert (closed["outcome"], closed["dry_run"]) == ("judged", True)
    assert closed["verdict"]["verdict"] == "promote"
    assert "nightly" not in central(first.project, "for-each-ref")
