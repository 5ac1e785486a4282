"""Rolling back: the next reign on an older version, once, with its reason; what was left behind stays there."""

import json
from pathlib import Path

import pytest

from tasks.errors import NoData, Overtaken, UnknownName, WrongValue
from tasks.promote import registry
from tasks.promote.__main__ import main
from tasks.promote.promote import promote
from tasks.promote.rollback import rollback
from tasks.run.git import git
from tasks.run.settings import Settings
from tests.promote.conftest import Project
from tests.promote.test_promote import _run


@pytest.fixture
def three(project: Project) -> Project:
    """v1.0.0, v1.0.1 and v1.0.2 have reigned in this order; the second is no new anchor, the third is."""
    for number, (weights, anchor) in enumerate((("a", True), ("b", False), ("c", True))):
        champion = f"v1.0.{number - 1}" if number else None
        run = f"night-{number + 1}"
        promote(project.s, run, project.close(run, weights, number, champion, becomes_anchor=anchor), "gate")
    return project


def reigns(project: Project) -> list[tuple[int, str]]:
    return [(reign.number, reign.version) for reign in registry.history(project.s.central)]


def test_an_older_version_reigns_again_and_the_tag_says_why(three: Project, tmp_path: Path) -> None:
    s = three.s
    third = registry.champion(s.central)
    before = registry.versions(s.central)
    assert third is not None

    answer = rollback(s, "v1.0.1", "the camera\nPrevious: was replaced", "asked-1", "Ada")

    reign = registry.champion(s.central)
    assert reign is not None
    assert answer == {
        "version": "v1.0.1",
        "number": 4,
        "tag": "fused-model#champion#4",
        "commit": before["v1.0.1"].commit,
        "rolled_back": True,
    }
    assert (reign.number, reign.version, reign.commit) == (4, "v1.0.1", before["v1.0.1"].commit)
    assert reign.trailers == {
        "Run": "asked-1",
        "Commit": before["v1.0.1"].commit,
        "Reason": "the camera Previous: was replaced",
        "Approved-by": "Ada",
        "Bundle": before["v1.0.1"].trailers["Bundle"],
        "Previous": third.object,
        "Anchor": "v1.0.0",
        "Rolled-back": "v1.0.2",
    }
    assert registry.versions(s.central) == before  # no new name for known content
    shown = json.loads(_run(["gto", "show", "--repo", s.central, "--json"], tmp_path))
    assert shown["fused-model"]["stage"]["champion"] == "v1.0.1"


def test_asked_twice_is_once_and_what_reigns_is_left_alone(three: Project) -> None:
    first = rollback(three.s, "v1.0.0", "why not", "asked-1", "Ada")
    assert rollback(three.s, "v1.0.0", "why not", "asked-1", "Ada") == first
    refs = git("for-each-ref", cwd=Path(three.s.central))
    answer = rollback(three.s, "fused-model@v1.0.0", "again", "asked-2", "Ada")
    assert (answer["version"], answer["number"], answer["rolled_back"]) == ("v1.0.0", 4, False)
    assert git("for-each-ref", cwd=Path(three.s.central)) == refs
    rollback(three.s, "v1.0.2", "it was not its fault", "asked-3", "Ada")
    assert rollback(three.s, "v1.0.0", "why not", "asked-1", "Ada") == first  # delivered late: not done a second time
    assert reigns(three) == [(1, "v1.0.0"), (2, "v1.0.1"), (3, "v1.0.2"), (4, "v1.0.0"), (5, "v1.0.2")]


def test_an_anchor_that_was_left_behind_is_no_anchor(three: Project) -> None:
    def anchor() -> str:
        found = registry.anchor(three.s.central)
        assert found is not None
        return found.version

    assert anchor() == "v1.0.2"
    rollback(three.s, "v1.0.1", "one step", "asked-1", "Ada")
    assert anchor() == "v1.0.0"  # as it was when v1.0.1 came
    rollback(three.s, "v1.0.2", "not its fault", "asked-2", "Ada")
    assert anchor() == "v1.0.2"
    rollback(three.s, "v1.0.0", "all the way", "asked-3", "Ada")
    assert anchor() == "v1.0.0"
    rollback(three.s, "v1.0.1", "forward again", "asked-4", "Ada")
    assert anchor() == "v1.0.1"  # it was v1.0.0 then, but that one was just left behind


def test_what_was_left_behind_does_not_return_by_itself(three: Project) -> None:
    s = three.s
    rollback(s, "v1.0.0", "bad labels", "asked-1", "Ada")
    refs = git("for-each-ref", "refs/tags", cwd=Path(s.central))
    for weights, version in (("c", "v1.0.2"), ("b", "v1.0.1")):  # the one that reigned, and the one that was passed over
        run = f"night-{weights}"
        answer = promote(s, run, three.close(run, weights, 4, "v1.0.0"), "gate")
        assert answer["promoted"] is False
        assert answer["refused"] == f"this content is {version}, rolled back by #4: bad labels"
    assert git("for-each-ref", "refs/tags", cwd=Path(s.central)) == refs
    assert promote(s, "night-4", three.close("night-4", "d", 4, "v1.0.0"), "gate")["version"] == "v1.0.3"
    rollback(s, "v1.0.1", "a person says so", "asked-2", "Ada")
    promote(s, "night-5", three.close("night-5", "e", 6, "v1.0.1"), "gate")
    commit = three.close("night-6", "b", 7, "v1.0.4")
    assert promote(s, "night-6", commit, "gate")["version"] == "v1.0.1"  # a person brought it back, so may a night


def test_a_verdict_from_before_a_rollback_cannot_promote(three: Project) -> None:
    commit = three.close("night-4", "d", 3, "v1.0.2")
    rollback(three.s, "v1.0.1", "bad labels", "asked-1", "Ada")
    with pytest.raises(Overtaken, match=r"champion #4 is v1\.0\.1 of run asked-1; the verdict of run night-4 was against #3"):
        promote(three.s, "night-4", commit, "gate")


def test_what_cannot_be_rolled_back_to_is_said(three: Project) -> None:
    refs = git("for-each-ref", cwd=Path(three.s.central))
    with pytest.raises(UnknownName, match=r"unknown version 'v7'; known: v1\.0\.0, v1\.0\.1, v1\.0\.2"):
        rollback(three.s, "v7", "why not", "asked-1", "Ada")
    with pytest.raises(WrongValue, match="the reason is empty"):
        rollback(three.s, "v1.0.0", " \n", "asked-1", "Ada")
    lost = Settings(**{**three.s.__dict__, "remote": str(three.s.home / "empty"), "cache": three.s.home / "fresh"})
    with pytest.raises(NoData, match=r"the DVC remote lacks .*data/5_models/bundle"):
        rollback(lost, "v1.0.0", "why not", "asked-1", "Ada")
    assert git("for-each-ref", cwd=Path(three.s.central)) == refs


def test_by_hand(three: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NIGHTLOOM_HOME", str(three.s.home))
    monkeypatch.setattr("tasks.promote.mirror.resync", lambda s: {"removed": [], "added": [], "champion": "v1.0.0"})
    with pytest.raises(SystemExit, match="2"):
        main(["--rollback", ""])  # of a variable of the shell that is not set
    with pytest.raises(SystemExit, match="2"):
        main(["--run", ""])
    with pytest.raises(SystemExit, match="2"):
        main(["--rollback", "v1.0.0"])
    assert "the reason is empty" in capsys.readouterr().err
    main(["--rollback", "v1.0.0", "--reason", "bad labels"])
    assert capsys.readouterr().out.startswith("champion #4 is v1.0.0 again\nMLflow shows what the tags say")
    main(["--rollback", "v1.0.0", "--reason", "bad labels"])
    assert capsys.readouterr().out == "v1.0.0 reigns already, as champion #4: nothing to do\n"
    main(["--history"])
    assert "rolled back: bad labels" in capsys.readouterr().out
