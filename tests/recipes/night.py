"""A recipe's first night, three ways: under Airflow in a project of its own, by `dvc repro` in one, by its stages alone."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pyarrow.parquet import read_table

from data.recipes.landing import Recipe
from tasks.embedded.recipe import make_project
from tasks.files import read_json
from tasks.run.git import git
from tests.figures import ROOT, bring, change, night, prepare
from tests.forked import stage

PLANTED = ("catalogue", "diagnosis", "handling", "monitoring", "navigation", "speech", "traffic")  # recipes with a planted law

NONE: Mapping[str, Any] = {}


def recipe(name: str) -> Recipe:
    """The recipe of a folder of data/recipes."""
    found: Recipe = import_module(f"data.recipes.{name}.generate").RECIPE
    return found


def by_airflow(name: str, place: Path, samples: int = 0) -> dict[str, Any]:
    """A recipe's first night under a real scheduler, as `make run RECIPE=…` does it in a clone; returns scores.json.

    Raises:
        SystemExit: the run failed, or promoted nothing.
    """
    checkout, project = place / "checkout", place / f"checkout/.nightloom/recipes/{name}"
    git("clone", "--quiet", str(ROOT), str(checkout))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    if samples:  # a smaller night waits in the project's landing zone, where none is made then
        make_project(checkout, name, project)
        recipe(name).land(1, project / "data/0_landing", samples)
    own = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTLOOM_")}
    own |= {"NIGHTLOOM_PORT": port, "HOME": str(place)}
    told = command([sys.executable, "-m", "tasks.embedded", "run", "--recipe", name], checkout, own)
    (place / "told.txt").write_text(told)
    git("checkout", "--quiet", "nightly", cwd=project)
    command(
        [sys.executable, "-m", "dvc", "pull", "--quiet", "data/6_reports/evaluate", "data/3_manifest"], project, _dvc(project)
    )
    return scores_of(project, name)


def by_dvc(name: str, place: Path, samples: int = 0, changes: Mapping[str, Any] = NONE) -> dict[str, Any]:
    """A recipe's first night (0: all of its samples) by `dvc repro` in a project made for it; returns scores.json."""
    project = place / name
    make_project(ROOT, name, project)
    landing = project / "data/0_landing"
    recipe(name).land(1, landing, samples)
    bring(project, str(landing))
    change(project, changes)
    command([sys.executable, "-m", "dvc", "repro"], project, _dvc(project))
    return scores_of(project, name)


def by_stages(name: str, place: Path, samples: int = 0, changes: Mapping[str, Any] = NONE) -> dict[str, Any]:
    """A recipe's first night by its stages alone, children of one process: a tenth of the time that importing takes."""
    base, landing = place / "base", place / "landing"
    base.mkdir()
    recipe(name).land(1, landing, samples)
    prepare(base, ROOT / f"data/recipes/{name}/params.yaml", str(landing), stage)
    night(base, place / "night", changes, stage)
    return scores_of(place / "night", name)


def command(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command; returns what it printed.

    Raises:
        SystemExit: it failed; its last lines are the message.
    """
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{folder}: {' '.join(words[1:])}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def _dvc(project: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "true", "DVC_SITE_CACHE_DIR": str(project / ".nightloom/site")}


def scores_of(project: Path, name: str) -> dict[str, Any]:
    """What evaluate wrote, and `alarms`: the share of the test samples that are, None for a recipe without."""
    scores: dict[str, Any] = read_json(project / "data/6_reports/evaluate/scores.json")
    planted = recipe(name)
    if not planted.alarm:
        return {**scores, "alarms": None}
    samples = read_table(project / "data/3_manifest/samples.parquet", columns=["split", planted.target]).to_pylist()
    tested = [row[planted.target] for row in samples if row["split"] == "test"]
    classes = read_json(project / "data/3_manifest/manifest.json")["targets"][planted.target]["classes"]
    return {**scores, "alarms": tested.count(classes.index(planted.alarm)) / len(tested)}
