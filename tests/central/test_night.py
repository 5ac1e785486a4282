"""A run's own functions with a central behind HTTP: who only reads can run stages, who writes opens, closes and promotes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import NoData, Refused
from tasks.promote import registry
from tasks.promote.promote import promote
from tasks.run.close import close
from tasks.run.git import Denied, git
from tasks.run.workspace import workspace
from tests.central.conftest import login, serving
from tests.promote.conftest import Project as Promoted
from tests.promote.conftest import project as promoted
from tests.run.conftest import Project, project
from tests.run.test_close import admitted
from tests.run.test_open import land, opening
from tests.run.test_stage import run

__all__ = ["project", "promoted"]


@pytest.fixture
def far(project: Project) -> Iterator[Project]:
    """The small project of the runs' tests; its central is behind HTTP."""
    with serving(project.settings.home) as url:
        yield replace(project, settings=replace(project.settings, central=f"{url}/central.git", mlflow="nowhere://"))


def test_a_night_over_http(far: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    land(far, "n1", ["n1,x,one,two"])
    login(monkeypatch, far.settings.central, "writer")
    opened = opening(far, "n1")
    assert opening(far, "n1") == opened
    login(monkeypatch, far.settings.central, "reader")
    done = {}
    for stage in opened["stages"]:
        done[stage] = run(far, opened["commit"], stage, done)
    with pytest.raises(Denied, match="does not let this login push"):
        close(far.settings, opened, done, admitted())
    login(monkeypatch, far.settings.central, "writer")
    first = close(far.settings, opened, done, admitted())
    assert close(far.settings, opened, done, admitted())["commit"] == first["commit"]
    assert git("rev-parse", "nightly", cwd=far.settings.home / "central.git") == first["commit"]


def test_a_night_without_a_login_says_what_to_set(far: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    login(monkeypatch, far.settings.central, "reader", "wrong password")
    with pytest.raises(Denied, match="set NIGHTLOOM_GIT_USER and NIGHTLOOM_GIT_PASSWORD"):
        opening(far, "n1")


def test_only_what_is_in_the_history_of_an_allowed_branch_may_be_run(far: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    login(monkeypatch, far.settings.central, "writer")
    land(far, "n1", ["n1,x,one,two"])
    first = git("rev-parse", "HEAD", cwd=far.checkout)
    far.commit(**{"new.txt": "on main"})
    git("commit", "--quiet", "--allow-empty", "--message=theirs", cwd=far.checkout)
    theirs = git("rev-parse", "HEAD", cwd=far.checkout)
    git("push", "--quiet", far.settings.central, "HEAD:refs/heads/theirs", "HEAD:refs/tags/v1", cwd=far.checkout)
    guarded = replace(far, settings=replace(far.settings, revisions=("main", "release-*")))
    for revision in ("theirs", "v1", theirs):
        with pytest.raises(Refused, match=r"may not be run here: only what is in the history of main, release-\* may"):
            opening(guarded, f"run-{revision}", revision=revision)
    assert opening(guarded, "older", revision=first)["commit"]  # an ancestor of main
    git("push", "--quiet", far.settings.central, "HEAD:refs/tags/release-1", cwd=far.checkout)
    assert opening(guarded, "released", revision="release-1")["commit"]
    assert opening(far, "any", revision="theirs")["commit"]


def test_a_promotion_over_http(promoted: Promoted, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = promoted.close("night-1", "a")
    with serving(promoted.s.home) as url:
        s = replace(promoted.s, central=f"{url}/central.git")
        login(monkeypatch, s.central, "reader")
        with pytest.raises(Denied, match="NIGHTLOOM_GIT_USER=writer"):
            promote(s, "night-1", commit, "gate")
        assert registry.champion(s.central) is None
        login(monkeypatch, s.central, "writer")
        answer = promote(s, "night-1", commit, "gate")
        assert promote(s, "night-1", commit, "gate") == answer
        login(monkeypatch, s.central, "reader")
        reign = registry.champion(s.central)
        assert reign is not None
        assert (reign.version, reign.commit) == ("v1.0.0", commit)


def test_a_workspace_has_no_login_in_its_files(far: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    login(monkeypatch, far.settings.central, "reader")
    on_s3 = replace(far.settings, remote="s3://bucket/remote", s3_endpoint="http://s3:8333")
    with workspace(on_s3, "HEAD", "look") as folder:
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert not [path for path in files if b"canary" in path.read_bytes()]
        assert 'endpointurl = "http://s3:8333"' in (folder / ".dvc/config.local").read_text()


def test_a_central_that_is_away_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="no repository at"):
        registry.tags(str(tmp_path / "none.git"))
