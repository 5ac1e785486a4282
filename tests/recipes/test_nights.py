"""Recipes from generator to scores: all small, one by `dvc repro` and the others by their stages."""

from pathlib import Path

import pytest

from tests.recipes.judging import judge
from tests.recipes.night import PLANTED, by_dvc, by_stages, recipe

SAMPLES = 800
QUICK = {"train.epochs": 15, "evaluate.bootstrap": 200, "evaluate.examples": 2, "robustness.samples": 20}
REPRO = "catalogue"  # with two modalities: the fewest stages, each of which costs `dvc repro` seconds of imports


@pytest.mark.recipes
def test_a_small_night_by_dvc_repro_wins_what_can_be_won(tmp_path: Path) -> None:
    scores = by_dvc(REPRO, tmp_path, SAMPLES, {**QUICK, "fusions": ["concat"]})
    outcome = judge(recipe(REPRO).best_of(scores["alarms"]), scores)
    assert outcome.problems == (), outcome


@pytest.mark.recipes
@pytest.mark.parametrize("name", [name for name in PLANTED if name != REPRO])
def test_a_small_night_wins_what_can_be_won(name: str, tmp_path: Path) -> None:
    scores = by_stages(name, tmp_path, SAMPLES, QUICK)
    outcome = judge(recipe(name).best_of(scores["alarms"]), scores)
    assert outcome.problems == (), outcome
