"""A recipe's project: the checkout's commit with the recipe's params.yaml, and a home of its own."""

import os
from pathlib import Path

import pytest

from tasks.embedded.recipe import enter, make_project
from tasks.embedded.sample import land_next
from tasks.errors import NoData, UnknownName
from tasks.run.git import git
from tasks.run.settings import Settings, settings
from tests.embedded.conftest import PARAMS, RECIPE, commit

OTHER = PARAMS.replace("label:", "grade:")


@pytest.fixture
def project(checkout: Path, tmp_path: Path) -> Path:
    """The project of a recipe that nobody has committed."""
    folder = checkout / "data/recipes/mine"
    folder.mkdir()
    (folder / "params.yaml").write_text(OTHER)
    (folder / "generate.py").write_text(RECIPE)
    make_project(checkout, "mine", tmp_path / "project")
    return tmp_path / "project"


def head(folder: Path) -> str:
    return git("rev-parse", "HEAD", cwd=folder)


def test_it_is_the_checkouts_commit_with_the_recipes_params(checkout: Path, project: Path) -> None:
    assert git("show", "HEAD:params.yaml", cwd=project) == OTHER.strip()
    assert git("show", "HEAD:data/recipes/mine/generate.py", cwd=project) == RECIPE.strip()
    assert git("rev-parse", "HEAD~1", cwd=project) == head(checkout)
    assert git("status", "--porcelain", cwd=project) == ""


def test_made_again_it_is_the_same_commit_until_the_checkout_moves(checkout: Path, project: Path) -> None:
    before = head(project)
    make_project(checkout, "mine", project)
    assert head(project) == before
    now = commit(checkout, "data/recipes/mine/params.yaml", PARAMS)
    make_project(checkout, "mine", project)
    assert git("show", "HEAD:params.yaml", cwd=project) == PARAMS.strip()
    assert git("rev-parse", "HEAD~1", cwd=project) == now


def test_what_landed_there_stays(checkout: Path, project: Path) -> None:
    (project / "data/0_landing/night-1").mkdir(parents=True)
    make_project(checkout, "mine", project)
    assert (project / "data/0_landing/night-1").is_dir()


def test_a_version_of_the_checkout_is_none_of_the_project(checkout: Path, tmp_path: Path) -> None:
    git("tag", "fused-model@v1.0.0", cwd=checkout)
    (checkout / "data/recipes/mine").mkdir()
    commit(checkout, "data/recipes/mine/params.yaml", OTHER)
    make_project(checkout, "mine", tmp_path / "project")
    assert git("tag", "--list", cwd=tmp_path / "project") == ""


def test_make_works_in_it_with_the_checkouts_environment(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".venv").mkdir()
    commit(checkout, ".gitignore", "/.venv\n/.nightloom/\n")
    (checkout / "data/recipes/mine").mkdir()
    commit(checkout, "data/recipes/mine/params.yaml", OTHER)
    os.utime(checkout / "requirements.lock", (1, 1))
    place = tmp_path / "project"
    for _ in range(2):
        make_project(checkout, "mine", place)
        assert (place / ".venv").samefile(checkout / ".venv")
        assert (place / "requirements.lock").stat().st_mtime == 1
        assert git("status", "--porcelain", cwd=place) == ""


def test_an_unknown_recipe_is_told_the_known_ones(checkout: Path, project: Path) -> None:
    with pytest.raises(UnknownName, match="unknown recipe 'yours'; known: mine"):
        make_project(checkout, "yours", project)


def test_inside_it_everything_has_a_home_of_its_own(checkout: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLOOM_REMOTE", "s3://bucket/ours")
    place = enter(checkout, "mine")
    assert place == checkout / ".nightloom/recipes/mine" == Path.cwd()
    assert settings().remote == str(place / ".nightloom/remote")
    assert os.environ["NIGHTLOOM_HOME"] == str(place / ".nightloom")


def test_its_nights_land_one_after_another(project: Path, s: Settings) -> None:
    assert land_next(project, head(project), s, "mine") == "sample: landed night-1"
    assert land_next(project, head(project), s, "mine") == "sample: night-1 waits in data/0_landing"


def test_a_recipe_that_makes_no_data_asks_where_it_is(project: Path, s: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "data/recipes/mine/generate.py").unlink()
    with pytest.raises(NoData, match=r"say where yours is, `NIGHTLOOM_LANDING=/path/to/batches make run RECIPE=mine`"):
        land_next(project, head(project), s, "mine")
    monkeypatch.setenv("NIGHTLOOM_LANDING", "/data/mine")
    assert land_next(project, head(project), settings(), "mine") == "landing zone: /data/mine"
