"""When the next night of the sample lands, and when it must not."""

import json
from pathlib import Path

import pytest

from tasks.embedded.deploy import deploy
from tasks.embedded.sample import land_next
from tasks.errors import TasksError
from tasks.run.git import git
from tasks.run.settings import Settings, settings
from tests.embedded.conftest import PARAMS, commit


def land(root: Path, s: Settings) -> str:
    return land_next(root, git("rev-parse", "HEAD", cwd=root), s)


def seen(root: Path, s: Settings, *names: str) -> None:
    """Let central's `nightly` have these batches in its ledger."""
    deploy(root, s)
    (root / "data/batches.json").write_text(json.dumps({"batches": [{"name": n, "status": "accepted"} for n in names]}))
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "--message=closed", cwd=root)
    git("push", "--quiet", s.central, "HEAD:refs/heads/nightly", cwd=root)


def test_a_fresh_checkout_gets_the_first_night(checkout: Path, s: Settings) -> None:
    assert land(checkout, s) == "sample: landed night-1"


def test_a_night_that_no_run_has_seen_is_used_before_another_lands(checkout: Path, s: Settings) -> None:
    land(checkout, s)
    assert land(checkout, s) == "sample: night-1 waits in data/0_landing"
    seen(checkout, s, "night-1")
    assert land(checkout, s) == "sample: landed night-2"


def test_what_a_user_landed_is_never_joined_by_a_sample(checkout: Path, s: Settings) -> None:
    (checkout / "data/0_landing/2026-11-01").mkdir(parents=True)
    assert "it holds your data, so no sample is added" in land(checkout, s)
    assert [p.name for p in (checkout / "data/0_landing").iterdir()] == ["2026-11-01"]


@pytest.mark.parametrize(
    "params",
    [
        PARAMS + "ingest: {landing: ../elsewhere}\n",
        PARAMS.replace("{kind: image}", "{kind: timeseries}"),
        PARAMS.replace("label:", "terrain:"),
    ],
)
def test_other_params_get_no_sample(checkout: Path, s: Settings, params: str) -> None:
    commit(checkout, "params.yaml", params)
    assert land(checkout, s).startswith("landing zone: ")
    assert not (checkout / "data/0_landing").exists()


def test_a_landing_zone_from_the_environment_gets_no_sample(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLOOM_LANDING", "s3://bucket/landing")
    assert land(checkout, settings()) == "landing zone: s3://bucket/landing"


def test_a_recipe_that_fails_is_told(checkout: Path, s: Settings) -> None:
    (checkout / "data/recipes/digits/generate.py").write_text("raise SystemExit('no space left')")
    with pytest.raises(TasksError, match=r"recipe data/recipes/digits/generate.py failed: no space left"):
        land(checkout, s)
