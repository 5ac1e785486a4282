"""Recipes from generator to score: one, small, by `dvc repro`, and one under Airflow, in a project of its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.run.git import git
from tests.recipes.judging import judge
from tests.recipes.night import ROOT, by_dvc, recipe

SAMPLES = 1500
SMALL = ("monitoring",)  # an interaction; a minute each: `make test-recipes` runs all


@pytest.mark.recipes
@pytest.mark.parametrize("name", SMALL)
def test_a_small_night_wins_what_can_be_won(name: str, tmp_path: Path) -> None:
    outcome = judge(recipe(name).best, by_dvc(name, tmp_path, SAMPLES))
    assert outcome.problems == (), outcome


@pytest.mark.scheduler
def test_make_run_brings_a_recipes_model_to_the_throne_of_its_own_project(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    git("clone", "--quiet", str(ROOT), str(checkout))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-m", "tasks.embedded", "run", "--recipe", "catalogue"],
        cwd=checkout,
        env={**os.environ, "NIGHTLOOM_PORT": port, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    project = checkout / ".nightloom/recipes/catalogue"
    assert f"project: {project}" in done.stdout
    assert "no model is right more often than: all 0.854" in done.stdout
    assert "fused-model@v1.0.0 reigns as champion number 1" in done.stdout
    assert git("tag", "--list", "fused-model@*", cwd=project) == "fused-model@v1.0.0"
    assert git("tag", "--list", "fused-model@*", cwd=checkout) == ""
    assert not (checkout / ".nightloom/central.git").exists()
