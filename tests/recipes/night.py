"""A recipe's first night in a clean project, and how near its models come to the best possible."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from math import sqrt
from pathlib import Path
from typing import Any

from data.recipes.landing import Recipe
from tasks.embedded.recipe import make_project
from tasks.files import read_json
from tests.figures import ROOT, bring

PLANTED = ("catalogue", "diagnosis", "handling", "monitoring", "speech", "traffic")  # recipes with a planted law
SHARE = 0.9  # of what the Bayes score is above the best constant
FEWEST = 2000  # test samples; with fewer the mark is held within two standard errors
ERRORS = 2  # standard errors by which a candidate may be above the best that it can have


def recipe(name: str) -> Recipe:
    """The recipe of a folder of data/recipes."""
    found: Recipe = import_module(f"data.recipes.{name}.generate").RECIPE
    return found


def run(name: str, project: Path, samples: int = 0) -> dict[str, Any]:
    """Land a recipe's first night (0: all of its samples) in a project made for it, and run the pipeline; returns scores.json.

    Raises:
        SystemExit: `dvc repro` failed; its last lines are the message.
    """
    make_project(ROOT, name, project)
    landing = project / "data/0_landing"
    print(f"{name}: {recipe(name).land(1, landing, samples)}", flush=True)
    bring(project, str(landing))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"PATH": path, "DVC_NO_ANALYTICS": "true", "DVC_SITE_CACHE_DIR": str(project / ".nightloom/site")}
    command = [sys.executable, "-m", "dvc", "repro"]
    done = subprocess.run(command, cwd=project, env=os.environ | own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{project}: dvc repro\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    scores: dict[str, Any] = read_json(project / "data/6_reports/evaluate/scores.json")
    return scores


@dataclass(frozen=True)
class Row:
    """A candidate's score beside the best score that anything can have which sees what it sees."""

    name: str
    score: float
    best: float


@dataclass(frozen=True)
class Outcome:
    """What a night came to: all candidates, the selected one's share of what can be won, and what is not as it must be."""

    rows: tuple[Row, ...]
    samples: int
    selected: str
    share: float
    problems: tuple[str, ...]


def judge(best: Mapping[str, float], scores: Mapping[str, Any]) -> Outcome:
    """Hold a night's scores against the law's.

    Args:
        best: `Law.scores`.
        scores: scores.json.
    """
    measured = {name: entry[scores["metric"]]["value"] for name, entry in scores["candidates"].items()}
    rows = tuple(Row(name, value, _best(name, best)) for name, value in measured.items())
    samples, selected = int(scores["samples"]), str(scores["selected"])
    room = best["all"] - best["nothing"]
    share = (measured[selected] - best["nothing"]) / room
    slack = 0.0 if samples >= FEWEST else 2 * sqrt(best["all"] * (1 - best["all"]) / samples) / room
    problems = [] if share >= SHARE - slack else [f"{selected} wins {share:.3f} of what can be won, needed {SHARE - slack:.3f}"]
    for row in rows:
        highest = row.best + ERRORS * sqrt(row.best * (1 - row.best) / samples)
        if row.score > highest:
            problems.append(f"{row.name} scores {row.score:.3f}: more than {highest:.3f}, so the law or the split leaks")
    return Outcome(rows, samples, selected, share, tuple(problems))


def _best(candidate: str, best: Mapping[str, float]) -> float:
    """The best score of anything that sees what a candidate sees.

    Where no modality alone tells anything, neither does late averaging of what each of them says.
    """
    alone = [score for name, score in best.items() if name not in ("all", "nothing")]
    if candidate == "late" and max(alone) - best["nothing"] < 1e-9:
        return best["nothing"]
    return best.get(candidate.removeprefix("alone-"), best["all"])
