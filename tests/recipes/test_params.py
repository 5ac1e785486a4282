"""Each recipe's params.yaml is one that the pipeline takes."""

from pathlib import Path

import pytest

from tasks.params import load

RECIPES = Path(__file__).resolve().parents[2] / "data/recipes"


@pytest.mark.parametrize(("recipe", "modalities"), [("av-digits", ["audio", "image"]), ("terrain", ["imu", "wheel"])])
def test_a_recipe_names_modalities_that_can_be_read(recipe: str, modalities: list[str]) -> None:
    params = load(RECIPES / recipe / "params.yaml")
    assert list(params.modalities) == modalities
    assert list(params.targets) == ["label"]
