from pathlib import Path

import pytest

from tasks.run.watch import LandingTrigger, unseen
from tests.run.conftest import Project
from tests.run.test_open import land


def test_a_batch_is_told_once_and_again_when_it_is_mended(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLOOM_HOME", str(project.settings.home))
    assert unseen(project.checkout) == []  # the landing zone is not there yet
    land(project, "night-1", ["s1,x,one,two"])
    half = land(project, "half", ["s2,x,one,two"])
    Path(half / "metadata.csv").unlink()
    assert unseen(project.checkout) == ["night-1"]
    assert unseen(project.checkout) == []
    land(project, "night-1", ["s1,x,one,two", "s2,y,three,four"])
    assert unseen(project.checkout) == ["night-1"]


def test_batches_to_be_scored_are_told_apart_from_those_to_train_on(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLOOM_HOME", str(project.settings.home))
    land(project, "night-1", ["s1,x,one,two"])
    assert unseen(project.checkout, "to_score") == []  # params.yaml names no zone
    monkeypatch.setenv("NIGHTLOOM_SCORE_LANDING", "home/landing")
    assert unseen(project.checkout, "to_score") == ["night-1"]
    assert unseen(project.checkout, "to_score") == []
    assert unseen(project.checkout) == ["night-1"]
    path, kwargs = LandingTrigger("/root", asset="to_score").serialize()
    assert (path, kwargs["asset"]) == ("tasks.run.watch.LandingTrigger", "to_score")
