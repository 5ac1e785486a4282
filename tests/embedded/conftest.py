"""A tiny checkout: a git repository with what `tasks.embedded` reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.run.git import git
from tasks.run.settings import Settings, settings

PARAMS = """
modalities: {audio: {kind: audio}, image: {kind: image}, text: {kind: text}}
targets: {label: {type: classification}}
"""
RECIPE = """
import argparse, pathlib
p = argparse.ArgumentParser(); p.add_argument("--night"); p.add_argument("--to", type=pathlib.Path)
to = p.parse_args().to
night = next(n for n in range(1, 99) if not (to / f"night-{n}").exists())
(to / f"night-{night}").mkdir(parents=True)
print(f"landed night-{night}")
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "checkout"
    (root / "data/recipes/digits").mkdir(parents=True)
    (root / "params.yaml").write_text(PARAMS)
    (root / "requirements.lock").write_text("pyyaml>=1\n")
    (root / "data/recipes/digits/generate.py").write_text(RECIPE)
    (root / ".gitignore").write_text("/.nightloom/\n/data/0_landing\n")
    git("init", "--quiet", "--initial-branch=main", cwd=root)
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "--message=start", cwd=root)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CENTRAL", "REMOTE", "CACHE", "MLFLOW", "LANDING", "SCORE_LANDING", "PORT", "MLFLOW_PORT"):
            patch.delenv(f"NIGHTLOOM_{name}", raising=False)
        patch.setenv("NIGHTLOOM_HOME", str(root / ".nightloom"))
        patch.chdir(root)
        yield root


@pytest.fixture
def s(checkout: Path) -> Settings:
    return settings()


def commit(root: Path, path: str, content: str) -> str:
    """Change a file and commit it; returns the commit."""
    (root / path).write_text(content)
    git("add", "--all", cwd=root)
    git("commit", "--quiet", f"--message=change {path}", cwd=root)
    return git("rev-parse", "HEAD", cwd=root)
