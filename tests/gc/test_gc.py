import os
import shutil
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import pytest

from tasks.errors import Refused
from tasks.gc import Ages, collect
from tasks.gc.__main__ import main
from tasks.promote import registry
from tasks.run.git import git
from tasks.run.settings import Settings
from tasks.run.workspace import workspace
from tests.erase.nights import base, night, nights
from tests.run.conftest import Project
from tests.run.test_open import land

__all__ = ["base", "nights"]
SOME = Ages(nights=1)


def later() -> float:
    return time.time() + 40 * 86_400


def contents(s: Settings, commit: str, cache: Path) -> dict[str, bytes]:
    """All that DVC keeps of a commit, pulled from the remote into an empty cache."""
    from dvc.repo import Repo

    with workspace(s, commit, "pull", cache) as folder, chdir(folder), Repo() as repo:
        repo.pull()
        assert repo.status() == {}
        return {str(p.relative_to(folder)): p.read_bytes() for p in (folder / "data").rglob("*") if p.is_file()}


def objects(s: Settings) -> dict[str, set[str]]:
    return {
        place: {p.parent.name + p.name for p in (s.home / place / "files").rglob("*") if p.is_file()}
        for place in ("cache", "remote")
    }


def refs(s: Settings) -> list[str]:
    return git("for-each-ref", "--format=%(refname)", "refs/heads/runs", cwd=Path(s.central)).split()


def test_every_version_and_the_last_night_can_still_be_made_and_the_rest_is_gone(nights: Project, tmp_path: Path) -> None:
    s = nights.settings
    land(nights, "night-3", ["s3,x,five,six"])
    between = night(nights, "r3")  # no version
    land(nights, "night-4", ["s4,x,seven,eight"])
    last = night(nights, "r4")
    commits = {version: tag.commit for version, tag in registry.versions(s.central).items()} | {"last": last}
    before = {name: contents(s, commit, tmp_path / f"before-{name}") for name, commit in commits.items()}
    orphan = s.home / "remote/files/md5/ab" / ("c" * 30)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"nobody's")
    held = objects(s)
    memo = s.home / "remote/memo" / ("b" * 64)
    memo.mkdir(parents=True)
    some = {p.name: p for p in (s.home / "remote/files/md5").rglob("*") if p.is_file()}
    kept_raw = _partition(s, last)
    (memo / f"{kept_raw}-{kept_raw}-00000000.parquet").touch()  # any object that stays will do as a value
    (memo / f"{kept_raw}-{'1' * 32}-00000000.parquet").touch()
    (memo / f"{'2' * 32}-{kept_raw}-00000000.parquet").touch()
    assert some

    collect(s, nights.checkout, SOME, yes=True, idle=True)  # all of it is younger than a day
    assert objects(s) == held
    assert len(refs(s)) == 5
    looked = collect(s, nights.checkout, SOME, yes=False, clock=later)
    assert objects(s) == held
    assert "5 refs of runs older than 30 days" in looked
    done = collect(s, nights.checkout, SOME, yes=True, clock=later)
    assert done == looked
    assert refs(s) == []
    assert [path.name.split("-")[1] for path in memo.iterdir()] == [kept_raw]
    assert not orphan.exists()
    for place, oids in objects(s).items():
        assert len(oids) < len(held[place]), place
    shutil.rmtree(s.home / "cache")
    assert {name: contents(s, commit, tmp_path / f"after-{name}") for name, commit in commits.items()} == before
    from dvc.exceptions import CheckoutError

    with pytest.raises(CheckoutError, match="data/3_manifest"):
        contents(s, between, tmp_path / "between")
    assert collect(s, nights.checkout, SOME, yes=False, clock=later)[:2] == [
        "0 refs of runs older than 30 days",
        "0 objects in the cache, 0.0 MB",
    ]
    land(nights, "night-5", ["s5,x,nine,ten"])
    night(nights, "r5")  # and the next night goes on


def _partition(s: Settings, commit: str) -> str:
    import json

    index = json.loads(git("show", f"{commit}:data/1_raw.json", cwd=Path(s.central)))
    return str(index["batches"][0]["partitions"]["a"][0]["md5"])


def test_it_keeps_away_from_a_run_that_may_be_at_work(nights: Project, monkeypatch, capsys) -> None:
    s = nights.settings
    from tests.run.test_open import opening

    land(nights, "night-3", ["s3,x,five,six"])
    opening(nights, "r3")
    with pytest.raises(Refused, match=r"run r3 was opened 0\.0 hours ago and has not been closed"):
        collect(s, nights.checkout, SOME, yes=True)
    monkeypatch.setenv("NIGHTLOOM_HOME", str(s.home))
    with pytest.raises(SystemExit) as ended:
        main(["--yes"])
    assert ended.value.code == 2
    main([])
    printed = capsys.readouterr().out
    assert "would go: 0 refs of runs older than 30 days" in printed
    assert "nothing was deleted; to do it: make gc YES=1" in printed


def test_a_workspace_goes_when_it_is_old_and_nobody_stands_in_it(tmp_path: Path) -> None:
    from tasks.gc import tries

    work = tmp_path / "work"
    for name in ("old", "standing", "young"):
        (work / name / "data").mkdir(parents=True)
    for name in ("old", "standing"):
        os.utime(work / name, (1, 1))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=work / "standing/data") as process:
        assert tries.dead(work) == [work / "old"]
        process.communicate(b"\n")
    tries.drop(tries.dead(work))
    assert [path.name for path in work.iterdir()] == ["young"]
    assert tries.dead(tmp_path / "nowhere") == []


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_failed_and_deleted_runs_leave_mlflow_and_those_with_a_verdict_stay(tmp_path: Path) -> None:
    from tasks.gc.rows import clean
    from tasks.promote.tracking import RUN_TAG, connect

    home = tmp_path / "home"
    s = Settings(home, str(home / "central.git"), str(home / "remote"), home / "cache", f"sqlite:///{home}/mlflow/mlflow.db")
    git("init", "--quiet", "--bare", s.central)
    client, experiment = connect(s)
    ids = {}
    for name, tags, start in (("failed", {}, 1), ("judged", {"verdict": "keep"}, 1), ("new", {}, None), ("deleted", {}, 1)):
        ids[name] = client.create_run(experiment, start_time=start, tags={RUN_TAG: name, **tags}).info.run_id
    client.delete_run(ids["deleted"])
    looked = clean(s, tmp_path, 90, 30, yes=False)
    assert looked[1] == "MLflow: 1 failed runs older than 30 days, 1 deleted ones"
    assert looked[0].startswith("Airflow: no database here")
    assert clean(s, tmp_path, 90, 30, yes=True) == looked
    left = client.search_runs([experiment], run_view_type=3)
    assert {run.data.tags[RUN_TAG] for run in left} == {"judged", "new"}
