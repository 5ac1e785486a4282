"""Stages run as Airflow's tasks run them: in a child of their own."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.run.child import Child, Ended
from tests.run.conftest import Project


def child(project: Project, commit: str, stage: str, fragments: dict[str, Any], **variables: str) -> Child:
    """Start a stage."""
    environment = {
        "NIGHTLOOM_HOME": str(project.settings.home),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(Path.cwd()),
        **variables,
    }
    body = {"verb": "stage", "run": "r", "opened": {"commit": commit}, "stage": stage, "fragments": fragments}
    return Child("tasks.run", body, environment)


def run(project: Project, commit: str, stage: str, fragments: dict[str, Any], **variables: str) -> dict[str, Any]:
    """Run a stage that must end well."""
    done = child(project, commit, stage, fragments, **variables).wait()
    assert done.code == 0, done.last
    return {**done.answer, "work": dict(done.work)}


def ended(project: Project, commit: str, stage: str, fragments: dict[str, Any], **variables: str) -> tuple[int, str, list[str]]:
    """Run a stage that need not: its exit code, its last line, and all of its lines."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda line, **_: lines.append(str(line)))
        done: Ended = child(project, commit, stage, fragments, **variables).wait()
    return done.code, done.last, lines
