"""central.git and remote, copied while no run is at work, are a whole Nightloom somewhere else."""

import shutil
from contextlib import chdir
from pathlib import Path

from tasks.promote import registry
from tasks.run.git import git
from tasks.run.settings import Settings
from tasks.run.workspace import workspace
from tests.promote.conftest import Project, project

__all__ = ["project"]


def test_a_copy_of_central_and_remote_restores_history_versions_and_nightly(
    project: Project, tmp_path: Path, monkeypatch
) -> None:
    from dvc.repo import Repo

    from tasks.promote.promote import promote

    first = project.close("r1", "one")
    promote(project.s, "r1", first, "gate")
    second = project.close("r2", "two", number=1, version="v1.0.0")
    promote(project.s, "r2", second, "gate")
    wanted = registry.history(project.s.central)
    kept = {place: (project.s.home / place) for place in ("central.git", "remote")}
    elsewhere = tmp_path / "elsewhere"
    for place, path in kept.items():
        shutil.copytree(path, elsewhere / place)
    monkeypatch.chdir(elsewhere)
    shutil.rmtree(project.s.home)

    s = Settings(elsewhere, str(elsewhere / "central.git"), str(elsewhere / "remote"), elsewhere / "cache", "")
    assert [reign.version for reign in wanted] == ["v1.0.0", "v1.0.1"]
    assert registry.history(s.central) == wanted
    assert git("rev-parse", "refs/heads/nightly", cwd=Path(s.central)) == second
    for version, weights in (("v1.0.0", "one"), ("v1.0.1", "two")):
        tag = registry.find(s.central, version)
        with workspace(s, tag.commit, "pull", tmp_path / f"empty-{version}") as folder:
            with chdir(folder), Repo() as repo:
                repo.pull()
            assert (folder / "data/5_models/bundle/weights").read_text() == weights
