"""Cost follows what is new: a toy stage with a file per partition, on workers whose caches are empty."""

import json
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tasks.run.child import Child
from tasks.run.operators import shared
from tests.run.conftest import PARAMS, Project, create
from tests.run.test_open import close, land, opening

DVC_YAML = """
stages:
  shout:
    cmd: python shout.py ${seed}
    deps: [shout.py, data/1_raw.json]
    params: [modalities.a]
    outs: [data/2_profiles]
    meta: {each: a}
  fit:
    cmd: python fit.py
    deps: [fit.py, data/2_profiles]
    outs: [data/5_models]
"""
# Writes a file per partition; what the memo brought is taken when it belongs to the partition.
SHOUT = """
import json, pathlib, sys
import pyarrow.parquet as pq
out = pathlib.Path("data/2_profiles"); out.mkdir(parents=True)
decoded = brought = 0
for batch in json.load(open("data/1_raw.json"))["batches"]:
    for part in batch["partitions"].get("a", []):
        name = pathlib.Path(part["path"]).stem + ".txt"
        kept = pathlib.Path(".memo/data/2_profiles", name)
        if kept.is_file() and kept.read_text().startswith(part["md5"]):
            (out / name).write_text(kept.read_text()); brought += part["rows"]; continue
        words = pq.read_table("data/1_raw/" + part["path"])["data"].to_pylist()
        (out / name).write_text(part["md5"] + " " + b" ".join(words).decode().upper() + sys.argv[1] * 99); decoded += len(words)
print(f"work brought={brought} decoded={decoded}", flush=True)
"""
# A training of ten steps; whether it is killed after six is no business of its deps.
FIT = """
import os, pathlib, sys, time
kept = pathlib.Path(".memo/checkpoint/fit.safetensors")
done = int(kept.read_text()) if kept.is_file() else 0
print("resumes at", done, flush=True)
for step in range(done + 1, 11):
    if kept.parent.is_dir():
        new = kept.with_name(".new"); new.write_text(str(step)); new.replace(kept)
    flag = pathlib.Path(os.environ["HOME"], "kill")
    if step == 6 and flag.exists():
        time.sleep(5); flag.unlink(); os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)
pathlib.Path("data/5_models").mkdir(parents=True)
pathlib.Path("data/5_models/model").write_text("ten steps")
"""


@pytest.fixture
def nights(project: Project) -> Project:
    return prepared(project)


def prepared(project: Project) -> Project:
    ignored = (
        "/data/1_raw\n/data/2_profiles\n/data/5_models\n/data/champion\n/data/anchor\n/data/start\n/data/*_manifest\n/.memo\n"
    )
    project.commit(dvc_yaml=DVC_YAML, **{"shout.py": SHOUT, "fit.py": FIT, ".gitignore": ignored})
    params = PARAMS + "seed: 1\n"
    (project.checkout / "params.yaml").write_text(params.replace("ingest: {", "ingest: {partition_rows: 2, "))
    project.commit()
    return project


def worker(project: Project, name: str) -> Project:
    """Another machine: it shares central and the remote, nothing else."""
    home = project.settings.home.parent / name
    (home / "landing").mkdir(parents=True)
    return replace(project, settings=replace(project.settings, home=home, cache=home / "cache"))


def run(project: Project, commit: str, stage: str, fragments: Any = None, **more: Any) -> Any:
    s = project.settings
    environment = {
        "NIGHTLOOM_HOME": str(s.home),
        "NIGHTLOOM_CENTRAL": s.central,
        "NIGHTLOOM_REMOTE": s.remote,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(Path.cwd()),
    }
    body = {"verb": "stage", "run": "r", "opened": {"commit": commit}, "stage": stage, "fragments": fragments or {}, **more}
    return Child("tasks.run", body, environment).wait()


@dataclass(frozen=True)
class Begun:
    """A project whose first night is opened, and what its stage `shout` came to on one worker."""

    project: Project
    commit: str
    shout: Any


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Begun:
    """It is made once."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        project = prepared(create(folder))
        land(project, "night-1", [f"s{i},x,one{i},two" for i in range(5)])
        commit = opening(project, "r1")["commit"]
        return Begun(project, commit, run(project, commit, "shout"))


@pytest.fixture
def begun(base: Begun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begun:
    """A copy of it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return replace(base, project=create(tmp_path, of=base.project.settings.home.parent))


def second_night(project: Project) -> str:
    close(project, opening(project, "r1")["commit"])
    land(project, "night-2", ["t1,x,new,two"])
    return str(opening(project, "r2")["commit"])


def names(project: Project) -> list[Path]:
    return sorted(path for path in Path(project.settings.remote, "memo").rglob("*") if path.is_file())


def test_a_cold_worker_reads_and_decodes_what_is_new_alone(begun: Begun) -> None:
    nights, first = begun.project, begun.shout
    assert first.work == {"brought": 0, "decoded": 5}
    commit = second_night(nights)
    cold = worker(nights, "cold")
    second = run(cold, commit, "shout")
    assert second.work == {"brought": 5, "decoded": 1}
    raw = {p["md5"] for b in _index(nights, commit) for p in b["partitions"]["a"]}
    new = {p["md5"] for b in _index(nights, commit) if b["name"] == "night-2" for p in b["partitions"]["a"]}
    assert len(raw) == 4
    assert {md5 for md5 in raw if _cached(cold, md5).is_file()} == new

    shutil.rmtree(Path(nights.settings.remote, "memo"))
    scratch = run(worker(nights, "scratch"), commit, "shout")
    assert scratch.work == {"brought": 0, "decoded": 6}
    assert scratch.answer["lock"] == second.answer["lock"]


def _index(project: Project, commit: str) -> Any:
    shown = subprocess.run(
        ["git", "show", f"{commit}:data/1_raw.json"], cwd=project.settings.central, capture_output=True, text=True, check=True
    )
    return json.loads(shown.stdout)["batches"]


def _cached(project: Project, md5: str) -> Path:
    return project.settings.cache / "files/md5" / md5[:2] / md5[2:]


def test_changed_code_or_parameters_make_all_new(begun: Begun) -> None:
    nights = begun.project
    close(nights, opening(nights, "r1")["commit"])
    nights.commit(**{"shout.py": SHOUT + "# changed\n"})
    assert run(worker(nights, "w1"), opening(nights, "r2")["commit"], "shout").work == {"brought": 0, "decoded": 5}
    loud = opening(nights, "r3", overrides=["seed=2"])["commit"]
    assert run(worker(nights, "w2"), loud, "shout").work == {"brought": 0, "decoded": 5}
    assert run(worker(nights, "w3"), loud, "shout").work == {"brought": 5, "decoded": 0}


def test_a_damaged_name_or_value_is_computed_again(begun: Begun) -> None:
    nights, first = begun.project, begun.shout
    whole = {entry["path"]: entry["md5"] for entry in first.answer["lock"]["outs"]}
    commit = second_night(nights)
    one, two, three = names(nights)
    one.rename(one.with_name(one.name.replace(one.name[33:65], two.name[33:65])))  # names another partition's value
    two.with_name(two.name[:40]).write_text("")  # cut off
    two.rename(two.with_name(two.name.replace(two.name[66:74], "00000000")))  # does not check
    value = three.name[33:65]
    stored = Path(nights.settings.remote, "files/md5", value[:2], value[2:])
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    done = run(worker(nights, "cold"), commit, "shout")
    assert done.code == 0, done.last
    assert done.work == {"brought": 0, "decoded": 6}

    shutil.rmtree(nights.settings.remote + "/memo")
    stored.unlink()
    scratch = run(worker(nights, "scratch"), commit, "shout")
    assert scratch.answer["lock"] == done.answer["lock"]
    assert whole.keys() == {"data/2_profiles"}


def test_two_results_of_one_partition_are_both_left_alone(begun: Begun) -> None:
    import hashlib

    nights = begun.project
    commit = second_night(nights)
    one, two = names(nights)[:2]
    partition, value = one.name[:32], two.name[33:65]
    check = hashlib.sha256(f"{one.parent.name} {partition} {value}".encode()).hexdigest()[:8]
    (one.parent / f"{partition}-{value}-{check}.txt").write_text("")
    assert run(worker(nights, "cold"), commit, "shout").work == {"brought": 3, "decoded": 3}


def test_a_value_damaged_in_the_cache_is_fetched_again(begun: Begun) -> None:
    nights = begun.project
    commit = second_night(nights)
    cached = _cached(nights, names(nights)[0].name[33:65])
    cached.chmod(0o644)
    cached.write_text("rotten")
    assert run(nights, commit, "shout").work == {"brought": 5, "decoded": 1}


def test_many_workers_fill_the_memo_and_the_stage_puts_it_together(nights: Project) -> None:
    land(nights, "night-1", [f"s{i},x,one{i},two" for i in range(13)])  # 7 partitions
    commit = opening(nights, "r1")["commit"]
    alone = run(worker(nights, "alone"), commit, "shout")
    shutil.rmtree(nights.settings.remote + "/memo")
    shares = 3
    workers = [worker(nights, f"w{i}") for i in range(shares)]
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(run, w, commit, "shout", verb="fill", share=i, shares=shares) for i, w in enumerate(workers)]
        asked.append(pool.submit(run, worker(nights, "twice"), commit, "shout", verb="fill", share=0, shares=shares))
        done = [one.result() for one in asked]
    assert [one.code for one in done] == [0] * 4, [one.last for one in done]
    assert sum(one.answer["computed"] for one in done[:shares]) <= 7
    last = run(worker(nights, "last"), commit, "shout")
    assert last.work == {"brought": 13, "decoded": 0}
    assert last.answer["lock"] == alone.answer["lock"]


def test_shares_are_told_apart_and_one_worker_needs_none() -> None:
    assert shared(7, 3) == [[0, 3], [1, 3], [2, 3]]
    assert shared(2, 3) == [[0, 2], [1, 2]]
    assert shared(1, 3) == shared(0, 3) == shared(9, 1) == []


def test_open_tells_how_many_partitions_are_to_be_computed(nights: Project) -> None:
    land(nights, "night-1", [f"s{i},x,one{i},two" for i in range(5)])
    first = opening(nights, "r1")
    assert first["partitions"] == {"a": 3, "b": 3, "samples": 1}
    close(nights, first["commit"])
    land(nights, "night-2", ["t1,x,new,two"])
    assert opening(nights, "r2")["partitions"] == {"a": 1, "b": 1, "samples": 1}
    assert opening(nights, "r3", overrides=["seed=2"])["partitions"] == {"a": 4, "b": 4, "samples": 2}


def test_a_killed_training_goes_on_elsewhere_where_it_was(begun: Begun, capfd: pytest.CaptureFixture[str]) -> None:
    nights, commit, shout = begun.project, begun.commit, begun.shout
    one, other = worker(nights, "one"), worker(nights, "other")
    (one.settings.home / "stages").mkdir(mode=0o700)
    (one.settings.home / "stages/kill").touch()
    ended = run(one, commit, "fit", {"shout": shout.answer})
    assert ended.code in (-signal.SIGKILL, 1)
    again = run(other, commit, "fit", {"shout": shout.answer})
    assert again.code == 0
    assert "resumes at 6" in capfd.readouterr().out
    assert not [path for path in names(nights) if "checkpoint" in path.parts]
    plain = run(worker(nights, "plain"), commit, "fit", {"shout": shout.answer})
    assert plain.answer["lock"] == again.answer["lock"]


def test_a_damaged_checkpoint_is_left_alone(begun: Begun, capfd: pytest.CaptureFixture[str]) -> None:
    nights, commit, shout = begun.project, begun.commit, begun.shout
    one = worker(nights, "one")
    (one.settings.home / "stages").mkdir(mode=0o700)
    (one.settings.home / "stages/kill").touch()
    run(one, commit, "fit", {"shout": shout.answer})
    (kept,) = [path for path in names(nights) if "checkpoint" in path.parts]
    kept.write_text("9")
    assert run(worker(nights, "other"), commit, "fit", {"shout": shout.answer}).code == 0
    assert "resumes at 9" not in capfd.readouterr().out
