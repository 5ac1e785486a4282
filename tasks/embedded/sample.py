"""The next night of a recipe, by default of the sample, where nothing else has landed."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tasks.embedded.recipe import RECIPES
from tasks.errors import NoData, TasksError
from tasks.params import Ingest
from tasks.run.git import GitFailed, git
from tasks.run.settings import Settings

SAMPLE = "digits"  # the recipe that the repository's own params.yaml reads
NIGHT = re.compile(r"night-\d+")
KINDS = {"audio": "audio", "image": "image", "text": "text"}  # modalities of the sample
TARGETS = {"label"}


def land_next(root: Path, commit: str, s: Settings, recipe: str = SAMPLE) -> str:
    """Land the next night of a recipe, if the landing folder is the recipe's alone and nothing waits in it.

    Args:
        root: the checkout.
        commit: the commit that will run.
        s: where central is.
        recipe: a folder of data/recipes; the sample lands only where params.yaml reads it.

    Returns:
        What was done, or why nothing was, in one line.

    Raises:
        NoData: the recipe makes no data, and no landing zone is named.
        TasksError: the recipe failed; the message holds its last line.
    """
    params = yaml.safe_load(git("show", f"{commit}:params.yaml", cwd=root)) or {}
    landing = landing_of(params)
    if s.landing or landing != Ingest.landing or (recipe == SAMPLE and not reads_sample(params)):
        return f"landing zone: {s.landing or landing}"
    there = [] if not (root / landing).is_dir() else [p.name for p in (root / landing).iterdir() if p.name[0] != "."]
    if not all(NIGHT.fullmatch(name) for name in there):
        return f"landing zone: {landing} (it holds your data, so no sample is added)"
    waiting = sorted(set(there) - ingested(s))
    if waiting:
        return f"sample: {', '.join(waiting)} waits in {landing}"
    return f"sample: {_generate(root, landing, recipe)}"


def landing_of(params: Mapping[str, Any]) -> str:
    """The landing zone that the content of a params.yaml names."""
    return str((params.get("ingest") or {}).get("landing", Ingest.landing))


def reads_sample(params: Mapping[str, Any]) -> bool:
    """Whether params.yaml asks for modalities and targets that the sample has."""
    modalities, targets = params.get("modalities"), params.get("targets")
    if not isinstance(modalities, dict) or not isinstance(targets, dict):
        return False
    kinds = {name: body.get("kind") for name, body in modalities.items() if isinstance(body, dict)}
    return kinds.items() <= KINDS.items() and set(targets) <= TARGETS


def ingested(s: Settings) -> set[str]:
    """The batches that a closed run has seen, accepted or not."""
    try:
        ledger = json.loads(git("show", "refs/heads/nightly:data/batches.json", cwd=Path(s.central)))
    except (GitFailed, FileNotFoundError):
        return set()  # no night was closed yet
    return {entry["name"] for entry in ledger["batches"]}


def _generate(root: Path, landing: str, recipe: str) -> str:
    script = RECIPES / recipe / "generate.py"
    if not (root / script).is_file():
        here = f"NIGHTLOOM_LANDING=/path/to/batches make run RECIPE={recipe}"
        raise NoData(f"recipe {recipe} makes no data of its own: say where yours is, `{here}`")
    module = ".".join(script.with_suffix("").parts)
    command = [sys.executable, "-m", module, "--night", "next", "--to", landing]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TasksError(f"the recipe {script} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout.strip()
