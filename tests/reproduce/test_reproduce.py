"""Reproducing a version: same bytes are said to be the same, and what differs is named."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tasks.errors import EnvironmentDiffers, NoData, TasksError, UnknownName
from tasks.promote.announce import announce, tag_object
from tasks.reproduce import Outcome, remake, reproduce
from tasks.reproduce.__main__ import main, told
from tasks.reproduce.compare import counted, differences, recorded, totals, work_differences
from tasks.reproduce.pipeline import clock
from tasks.run import graph, lock
from tasks.run.git import git
from tasks.run.settings import Settings

DVC_YAML = """\
stages:
  last: # written before what it depends on: DVC ends stages in another order than the file's
    cmd: cat data/left data/right > data/last && echo work steps=5
    deps: [data/left, data/right]
    outs: [data/last]
  middle:
    foreach: [left, right]
    do:
      cmd: python step.py ${item} OUTSIDE
      deps: [data/raw, step.py]
      outs: ["data/${item}"]
"""
STEP = """\
import sys
from pathlib import Path
side, outside = sys.argv[1:]
seen = Path(outside).read_text() if side == "right" else ""
Path(f"data/{side}").write_text(Path("data/raw").read_text() + seen)
print("work decoded=2")
print("work decoded=1 steps=4")
"""
ROOT = Path(__file__).parents[2]
NOTE = """\
promote: night-1

Run: night-1
Work: last steps=5
Work: middle@left decoded=3 steps=4
Work: middle@right decoded=3 steps=4
"""
CONFIG = "[core]\n    remote = nightloom\n['remote \"nightloom\"']\n    url = ../../remote\n    verify = true\n"


class Made:
    """A central with one version of a small pipeline, and a file outside that one of its stages reads, against the rules."""

    def __init__(self, home: Path) -> None:
        self.s = Settings(home, str(home / "central.git"), str(home / "remote"), home / "cache", "")
        self.outside, self.folder = home / "outside", home / "checkout"

    def create(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from dvc.repo import Repo

        git("init", "--quiet", "--bare", "--initial-branch=nightly", self.s.central)
        git("clone", "--quiet", self.s.central, str(self.folder))
        monkeypatch.chdir(self.folder)
        self.outside.write_text("1")
        files = {
            ".dvc/config": CONFIG,
            ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
            ".gitignore": "/data/last\n/data/left\n/data/right\n/data/raw\n",
            "dvc.yaml": DVC_YAML.replace("OUTSIDE", str(self.outside)),
            "params.yaml": "seed: 0\n",
            "requirements.lock": f"pyyaml=={version('pyyaml')}\n",
            "step.py": STEP,
            "data/raw": "raw\n",
        }
        for name, content in files.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(content)
        with Repo() as repo:
            repo.add("data/raw")
            repo.reproduce()
            repo.push()
        lock.write(self.folder, lock.read(self.folder), [stage.name for stage in graph.stages(self.folder)])
        self.commit(NOTE)
        self.tag("v1.0.0")
        git("fetch", "--quiet", "--tags", "origin", cwd=self.folder)

    def commit(self, note: str) -> None:
        git("add", "--all", cwd=self.folder)
        git("commit", "--quiet", "--message", note, cwd=self.folder)
        git("push", "--quiet", "--force", "origin", "HEAD:refs/heads/nightly", cwd=self.folder)

    def tag(self, version: str) -> None:
        commit = git("rev-parse", "HEAD", cwd=self.folder)
        names = (f"fused-model@{version}",)
        assert announce(
            self.folder, self.s.central, {name: tag_object(self.folder, name, commit, 1, "x", {}) for name in names}
        )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home / "user"))
        patch.setenv("NIGHTLOOM_HOME", str(home))
        it = Made(home)
        it.create(patch)
        patch.chdir(ROOT)  # where `python -m tasks.reproduce` runs
        yield it


@pytest.fixture
def made(base: Made) -> Made:
    base.outside.write_text("1")
    git("reset", "--quiet", "--hard", "fused-model@v1.0.0", cwd=base.folder)
    return base


def exit_code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def test_same_bytes_by_the_same_work_from_nothing(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("v1.0.0") == 0
    printed = capsys.readouterr().out
    assert "fused-model@v1.0.0 is" in printed
    for line in ("  middle@left\n", "  last\n", "work then: decoded=6 steps=13", "work now:  decoded=6 steps=13"):
        assert line in printed
    assert "v1.0.0: bit-identical (3 stages in " in printed
    assert list((made.s.home / "work").iterdir()) == []  # clone and cache are gone
    assert not made.s.cache.exists()


def test_the_first_differing_out_is_named_with_both_hashes(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.outside.write_text("2")
    assert exit_code("fused-model@v1.0.0") == 1
    printed = capsys.readouterr().out.splitlines()
    place = next(i for i, line in enumerate(printed) if "NOT identical" in line)
    listed = [line.strip() for line in printed[place + 1 :]]
    before = {item["path"]: item["md5"] for item in lock.read(made.folder)["middle@right"]["outs"]}
    assert [line.split(": wanted")[0] for line in listed] == [
        "last: dep data/right",
        "last: out data/last",
        "middle@right: out data/right",
    ]
    after = hashlib.md5(b"raw\n2", usedforsecurity=False).hexdigest()
    assert f"wanted md5 {before['data/right']}, got {after}" in listed[2]


def test_other_work_is_not_the_same_run(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    (made.folder / "params.yaml").write_text("seed: 1\n")
    made.commit(NOTE.replace("last steps=5", "last steps=6"))
    made.tag("v1.1.0")
    assert exit_code("v1.1.0") == 1
    printed = capsys.readouterr().out
    assert "last: counted steps=6 when the version was made, steps=5 now" in printed
    assert "v1.1.0: bit-identical, but by other work" in printed
    unrecorded = told("v1.1.0", Outcome((), {"last": {"steps": 5}}, {}, 3, 61.0))
    assert unrecorded == "\nwork then: not recorded\nwork now:  steps=5\nv1.1.0: bit-identical (3 stages in 1:01)"


def test_what_cannot_be_tried_says_why(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownName, match=r"unknown version 'v9\.9\.9'; known: v1\.0\.0"):
        reproduce(made.s, "v9.9.9")
    assert exit_code("v9.9.9") == 2
    assert "known: v1.0.0" in capsys.readouterr().err
    lost = Settings(made.s.home, made.s.central, str(made.s.home / "empty"), made.s.cache, "")
    with pytest.raises(NoData, match=r"the DVC remote lacks data/raw\.dvc"):
        reproduce(lost, "v1.0.0")
    (made.folder / "requirements.lock").write_text("pyyaml==1.0\nno-such-package==1.0\n")
    made.commit("old packages")
    made.tag("v1.2.0")
    with pytest.raises(
        EnvironmentDiffers, match=r"pyyaml is .*lock: ==1\.0.*git worktree add \.\./fused-model-v1\.2\.0 .*make install"
    ):
        reproduce(made.s, "v1.2.0")


def test_a_failing_stage_is_named(made: Made, capfd: pytest.CaptureFixture[str]) -> None:
    made.outside.unlink()
    with pytest.raises(TasksError, match="the pipeline stopped at stage middle@right; the lines above say why"):
        reproduce(made.s, "v1.0.0")
    assert "FileNotFoundError" in capfd.readouterr().out


def test_nothing_outlives_it(made: Made) -> None:
    pid_file = made.s.home / "pid"
    slow = f"import os, time\nfrom pathlib import Path\nPath('{pid_file}').write_text(str(os.getpid()))\ntime.sleep(60)\n"
    (made.folder / "step.py").write_text(slow)
    made.commit("slow")
    made.tag("v1.3.0")
    started = subprocess.Popen([sys.executable, "-m", "tasks.reproduce", "v1.3.0"], cwd=ROOT)
    try:
        _wait(pid_file.is_file, 30)
        _wait(lambda: bool(pid_file.read_text()), 5)
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()
    _wait(lambda: not _alive(int(pid_file.read_text())), 5)


def _wait(condition: object, seconds: float) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def entry(md5: str, cmd: str = "x", dep: str = "1") -> dict[str, object]:
    return {"cmd": cmd, "deps": [{"path": "a", "md5": dep}], "outs": [{"path": "b", "md5": md5}]}


def test_differences_cover_stages_hashes_commands_and_params() -> None:
    wanted = {"a": entry("1"), "b": entry("2"), "c": entry("3"), "d": {**entry("4"), "params": {"params.yaml": {"seed": 0}}}}
    got = {
        "a": entry("1"),
        "c": entry("9", cmd="y", dep="8"),
        "d": {**entry("4"), "params": {"params.yaml": {"seed": 1}}},
        "e": entry("5"),
    }
    assert list(differences(wanted, got, ["a", "b", "c", "d"])) == [
        "b: did not run",
        "c: dep a: wanted md5 1, got 8",
        "c: out b: wanted md5 3, got 9",
        "c: cmd is not the one in the version's dvc.lock",
        "d: params is not the one in the version's dvc.lock",
        "e: is not in the version's dvc.lock",
    ]
    assert list(differences(wanted, wanted, ["a"])) == []


def test_what_a_night_took_from_its_memo_counts_as_decoded() -> None:
    from_memo = {"extract": {"decoded": 100, "brought": 9900, "steps": 3}}
    assert list(work_differences(from_memo, {"extract": {"decoded": 10000, "steps": 3}})) == []
    assert list(work_differences(from_memo, {"extract": {"decoded": 9999, "steps": 3}})) == [
        "extract: counted brought=9900 decoded=100 steps=3 when the version was made, decoded=9999 steps=3 now"
    ]
    assert list(work_differences({"a": {}}, {})) == []


def test_any_closed_commit_can_be_made_again(made: Made) -> None:
    made.outside.write_text("2")
    commit = git("rev-parse", "HEAD", cwd=made.folder)
    told = remake(made.s, commit, "the candidate of run night-2").as_json()
    assert [text.split(": wanted")[0] for text in told["differing"]] == [
        "last: dep data/right",
        "last: out data/last",
        "middle@right: out data/right",
    ]
    assert (told["work_differing"], told["stages"]) == ([], 3)
    assert "Python" in told["platform"]


def test_work_is_added_up_by_stage_and_over_stages() -> None:
    lines = [
        "Running stage 'a':",
        "work decoded=2",
        "work decoded=3 steps=1",
        "workers decoded=9",
        "Running stage 'b':",
        "work steps=4",
    ]
    assert counted(lines) == {"a": {"decoded": 5, "steps": 1}, "b": {"steps": 4}}
    assert recorded("x\n\nRun: r\nWork: a decoded=5 steps=1\nWork: b steps=4\n") == counted(lines)
    assert totals(counted(lines)) == {"decoded": 5, "steps": 5}
    assert clock(125.9) == "2:05"
