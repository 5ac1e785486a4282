"""`make run RECIPE=diagnosis`: a recipe in a clean project of its own, `<home>/recipes/diagnosis`."""

import os
import shutil
from pathlib import Path

from tasks.embedded.preflight import check_checkout
from tasks.errors import UnknownName
from tasks.run.git import git
from tasks.run.settings import settings
from tasks.stage import LOCK

RECIPES = Path("data/recipes")
VENV = ".venv"
OWN = ("CENTRAL", "REMOTE", "CACHE", "MLFLOW")  # settings that a project has of its own


def enter(root: Path, name: str) -> Path:
    """Make a recipe's project below the home of the checkout, and let this process work in it.

    Args:
        root: the checkout.
        name: of a folder in data/recipes.

    Returns:
        The project, which is the working directory now.

    Raises:
        UnknownName: there is no such recipe.
        Refused: `root` is no checkout.
    """
    place = settings().home / "recipes" / name
    make_project(root, name, place)
    os.chdir(place)
    os.environ["NIGHTLOOM_HOME"] = str(place / ".nightloom")
    for setting in OWN:
        os.environ.pop(f"NIGHTLOOM_{setting}", None)
    return place


def make_project(root: Path, name: str, place: Path) -> None:
    """Make a recipe's project: the checkout's commit, and one on top that puts the recipe's params.yaml in its place.

    The recipe's folder is taken as it is, committed or not, so that a copy of one can be tried at once. A project that is there
    follows the checkout; what landed, ran and was promoted in it stays.

    Raises:
        UnknownName: there is no such recipe.
        Refused: `root` is no checkout.
    """
    known = sorted(path.parent.name for path in (root / RECIPES).glob("*/params.yaml"))
    if name not in known:
        raise UnknownName("recipe", name, known)
    check_checkout(root)
    place.mkdir(parents=True, exist_ok=True)
    git("init", "--quiet", "--initial-branch=main", cwd=place)
    git("fetch", "--quiet", "--no-tags", str(root), "HEAD", cwd=place)
    git("checkout", "--quiet", "--force", "-B", "main", "FETCH_HEAD", cwd=place)
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / RECIPES / name, place / RECIPES / name, ignore=unwanted, dirs_exist_ok=True)
    shutil.copy(root / RECIPES / name / "params.yaml", place / "params.yaml")
    git("add", "--all", cwd=place)
    when = git("log", "-1", "--format=%cI", cwd=place)  # the same content is the same commit
    git("commit", "--quiet", "--allow-empty", f"--message=Recipe {name}", cwd=place, date=when)
    _share_environment(root, place)


def _share_environment(root: Path, place: Path) -> None:
    """Let `make` and the commands that a night ends with work in the project too, with the checkout's .venv."""
    shutil.copystat(root / LOCK, place / LOCK)  # as old as in the checkout: make does not install anew
    if (root / VENV).exists() and not (place / VENV).is_symlink():
        (place / VENV).symlink_to((root / VENV).resolve())
