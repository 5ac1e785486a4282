"""A recipe's whole first night under Airflow, in a project of its own."""

from pathlib import Path

import pytest

from tasks.run.git import git
from tests.recipes.judging import FEWEST, judge
from tests.recipes.night import by_airflow, recipe


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
    outcome = judge(recipe("catalogue").best_of(scores["alarms"]), scores)
    assert outcome.samples >= FEWEST
    assert outcome.problems == (), outcome
