"""Recipes with a planted law: what they land is what the pipeline takes, and their pages tell the truth."""

from pathlib import Path

import pytest

from tasks import params as parameters
from tasks.files import read_json
from tasks.profile.__main__ import profile
from tasks.validate import summary
from tasks.validate.__main__ import validate
from tests.figures import bring
from tests.recipes.judging import judge
from tests.recipes.night import PLANTED, ROOT, recipe

SAMPLES = 100


@pytest.mark.parametrize("name", PLANTED)
def test_a_small_night_is_profiled_and_accepted_whole(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / f"data/recipes/{name}/params.yaml").read_text())
    recipe(name).land(1, tmp_path / "data/0_landing", SAMPLES)
    params = bring(tmp_path, "data/0_landing")
    assert set(params.modalities) == set(recipe(name).law.channels)
    for modality in params.modalities:
        profile(modality)
    validate()
    manifest = read_json(Path("data/3_manifest/manifest.json"))
    assert (manifest["samples"], manifest["quarantined"]) == (SAMPLES, 0)
    planted = recipe(name)
    assert set(manifest["targets"]) == {target for target, _ in planted.best}
    assert set(manifest["targets"][planted.target]["classes"]) == set(planted.law.classes)
    assert planted.alarm in ("", manifest["targets"][planted.target]["classes"][-1])
    assert not [line for line in summary(read_json(Path("data/3_manifest/validation.json"))) if line.startswith("critical")]


@pytest.mark.parametrize("name", PLANTED)
def test_a_night_made_again_has_the_same_bytes(name: str, tmp_path: Path) -> None:
    for to in ("once", "again"):
        recipe(name).land(2, tmp_path / to, 20)
    first, again = (
        {p.relative_to(tmp_path / to): p.read_bytes() for p in (tmp_path / to).rglob("*.*")} for to in ("once", "again")
    )
    assert len(first) > 10
    assert first == again


@pytest.mark.parametrize("name", PLANTED)
def test_a_page_tells_what_the_law_says_can_be_won(name: str) -> None:
    planted = recipe(name)
    page = (ROOT / f"data/recipes/{name}/README.md").read_text()
    order = ["all", *planted.law.channels, "nothing"]
    assert f"| {' | '.join(order)} |" in page
    for best in planted.best.values():
        assert f"| {' | '.join(f'{best[what] + 0:.3f}' for what in order)} |".replace("-0.000", "0.000") in page
    assert f"make run RECIPE={name}" in page


def scores(selected: float, alone: float, samples: int) -> dict[str, object]:
    measured = {"late": selected, "alone-image": alone}
    candidates = {name: {"accuracy": {"value": value}} for name, value in measured.items()}
    return {"target": "label", "metric": "accuracy", "selected": "late", "samples": samples, "candidates": candidates}


BEST = {("label", "accuracy"): {"all": 0.9, "image": 0.6, "nothing": 0.5}}
LEAKS = "so the law or the split leaks"


@pytest.mark.parametrize(
    ("measured", "problem"),
    [
        (scores(0.87, 0.6, 2500), ""),
        (scores(0.85, 0.6, 2500), "late wins 0.875 of what can be won (label, accuracy), needed 0.900"),
        (scores(0.85, 0.6, 400), ""),  # within two standard errors of so few
        (scores(0.95, 0.6, 2500), f"late scores 0.950 (label, accuracy): more than 0.918, {LEAKS}"),
        (scores(0.87, 0.63, 2500), f"alone-image scores 0.630 (label, accuracy): more than 0.620, {LEAKS}"),
    ],
)
def test_scores_are_held_against_the_law(measured: dict[str, object], problem: str) -> None:
    assert "; ".join(judge(BEST, measured).problems) == problem


def test_late_averaging_cannot_win_what_no_modality_carries() -> None:
    best = {("label", "accuracy"): {"all": 0.9, "image": 0.5, "text": 0.5, "nothing": 0.5}}
    assert judge(best, scores(0.54, 0.5, 2500)).problems == (
        "late wins 0.100 of what can be won (label, accuracy), needed 0.900",
        f"late scores 0.540 (label, accuracy): more than 0.530, {LEAKS}",
    )


def test_each_target_and_metric_is_held_against_its_own_best() -> None:
    def measured(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.02, "high": value + 0.02}

    night = scores(0.88, 0.6, 2500)
    night["others"] = {"size": {"candidates": {"late": {"r2": measured(0.5)}, "alone-image": {"r2": measured(0.42)}}}}
    outcome = judge({**BEST, ("size", "r2"): {"all": 0.6, "image": 0.35, "nothing": 0.0}}, night)
    assert outcome.shares == pytest.approx({"label, accuracy": 0.95, "size, r2": 0.5 / 0.6})
    assert outcome.problems == (
        "late wins 0.833 of what can be won (size, r2), needed 0.900",
        f"alone-image scores 0.420 (size, r2): more than 0.370, {LEAKS}",
    )


def test_a_recipe_without_a_planted_law_is_read_all_the_same() -> None:
    for name, modalities in {"av-digits": ["audio", "image"], "terrain": ["imu", "wheel"]}.items():
        params = parameters.load(ROOT / f"data/recipes/{name}/params.yaml")
        assert list(params.modalities) == modalities
        assert list(params.targets) == ["label"]
