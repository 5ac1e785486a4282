"""Recipes from generator to scores: all small, one by `dvc repro` and the others by their stages, and one under Airflow."""

from pathlib import Path

import pytest

from tasks.run.git import git
from tests.recipes.judging import FEWEST, judge
from tests.recipes.night import PLANTED, by_airflow, by_dvc, by_stages, recipe

SAMPLES = 800
QUICK = {"train.epochs": 15, "evaluate.bootstrap": 200}
REPRO = "catalogue"  # with two modalities: the fewest stages, each of which costs `dvc repro` seconds of imports


@pytest.mark.recipes
def test_a_small_night_by_dvc_repro_wins_what_can_be_won(tmp_path: Path) -> None:
    outcome = judge(recipe(REPRO).best, by_dvc(REPRO, tmp_path, SAMPLES, {**QUICK, "fusions": ["concat"]}))
    assert outcome.problems == (), outcome


@pytest.mark.recipes
@pytest.mark.parametrize("name", [name for name in PLANTED if name != REPRO])
def test_a_small_night_wins_what_can_be_won(name: str, tmp_path: Path) -> None:
    outcome = judge(recipe(name).best, by_stages(name, tmp_path, SAMPLES, QUICK))
    assert outcome.problems == (), outcome


@pytest.mark.scheduler
def test_make_run_brings_a_recipes_model_to_the_throne_of_its_own_project(tmp_path: Path) -> None:
    scores = by_airflow("catalogue", tmp_path)
    checkout, told = tmp_path / "checkout", (tmp_path / "told.txt").read_text()
    project = checkout / ".nightloom/recipes/catalogue"
    assert f"project: {project}" in told
    assert "no model is right more often than: all 0.854" in told
    assert "fused-model@v1.0.0 reigns as champion number 1" in told
    assert git("tag", "--list", "fused-model@*", cwd=project) == "fused-model@v1.0.0"
    assert git("tag", "--list", "fused-model@*", cwd=checkout) == ""
    assert not (checkout / ".nightloom/central.git").exists()
    outcome = judge(recipe("catalogue").best, scores)
    assert outcome.samples >= FEWEST
    assert outcome.problems == (), outcome
