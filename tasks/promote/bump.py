"""How much changed since the champion: major = what goes in or comes out, minor = code or parameters, patch = data alone."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from packaging.version import Version

from tasks.files import read_json
from tasks.run.git import GitFailed, GitKilled, git

CODE = ("tasks", "dvc.yaml", "requirements.lock")
LEVELS = ("major", "minor", "patch")
FIRST = "v1.0.0"


def bump(versions: Iterable[str], level: str) -> str:
    """Name the version after the highest one there is: a rollback frees no number.

    Args:
        versions: all that exist, e.g. `v1.4.0`.
        level: one of LEVELS.
    """
    known = [Version(version) for version in versions]
    if not known:
        return FIRST
    release = list(max(known).release)
    place = LEVELS.index(level)
    release = [*release[:place], release[place] + 1, *[0] * (2 - place)]
    return "v" + ".".join(map(str, release))


def level(work: Path, champion_commit: str, champion_bundle: Path, bundle: Path) -> str:
    """Compare a candidate with the champion.

    Args:
        work: a clone of central, at the candidate's commit.
        champion_commit: the commit that the champion was made at.
        champion_bundle: the champion's bundle.
        bundle: the candidate's bundle.

    Returns:
        One of LEVELS.
    """
    if signature(champion_bundle) != signature(bundle):
        return "major"
    if any(_object(work, champion_commit, path) != _object(work, "HEAD", path) for path in CODE):
        return "minor"
    return "patch" if _params(work, champion_commit) == _params(work, "HEAD") else "minor"


def signature(bundle: Path) -> Mapping[str, Any]:
    """What goes into a bundle and what comes out: modalities with their kinds, targets with their types and classes."""
    facts = read_json(bundle / "bundle.json")
    return {
        "modalities": {name: body["kind"] for name, body in facts["modalities"].items()},
        "targets": {name: [body["type"], body["classes"]] for name, body in facts["targets"].items()},
    }


def _object(work: Path, commit: str, path: str) -> str | None:
    try:
        return git("rev-parse", "--verify", "--quiet", f"{commit}:{path}", cwd=work)
    except GitKilled:
        raise
    except GitFailed:  # that commit has no such path
        return None


def _params(work: Path, commit: str) -> Any:
    return yaml.safe_load(git("show", f"{commit}:params.yaml", cwd=work))
