from pathlib import Path

import pytest

from tasks.run.watch import unseen
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
