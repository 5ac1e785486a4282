"""Ranks find each other, started by the stage or by a person; and none goes on without the others."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from tasks.errors import WrongValue
from tasks.files import folder_digest
from tasks.paths import CANDIDATES
from tasks.ranks import start
from tasks.ranks.start import joined
from tasks.train.__main__ import train
from tests.deaths import alone
from tests.planted import plant
from tests.ranks.team import team

ROOT = Path(__file__).resolve().parent.parent.parent
BOUND_S = 5.0


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A planted night with its code, whose heads two processes fit."""
    monkeypatch.chdir(tmp_path)
    for name in ("tasks", "tests", "requirements.lock"):
        Path(name).symlink_to(ROOT / name)
    plant(epochs=3)
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["train"]["processes"] = 2
    Path("params.yaml").write_text(yaml.safe_dump(params))


def trained():
    torch.set_num_threads(1)
    train("mean")


def test_a_stage_starts_its_processes_and_torchrun_starts_the_same(capfd):
    alone(trained)
    printed = capfd.readouterr()
    assert re.findall(r"work .*", printed.out) == ["work steps=9"]
    found = folder_digest(CANDIDATES / "mean")
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tasks.train", "mean"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == printed.out.splitlines()
    assert [path.name for path in CANDIDATES.iterdir()] == ["mean"]
    assert folder_digest(CANDIDATES / "mean") == found


def test_another_number_of_processes_than_the_params_say_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(WrongValue, match=r"train.processes is 2, but 4 processes were started \(WORLD_SIZE\)"):
        train("mean")


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="has GPUs enough")
def test_each_process_needs_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(start, "Others", lambda command, processes: None)
    device = "cuda:0" if torch.cuda.is_available() else "cuda"
    wanted = pytest.raises(WrongValue, match=r"train.processes needs `device: cuda` and a GPU each, got cuda")
    with wanted, joined("tasks.train", "mean", 2, device):
        pass


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_train_together():
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "device: cuda\n")
    subprocess.run([sys.executable, "-m", "tasks.train", "mean"], check=True)
    assert (CANDIDATES / "mean/weights.safetensors").is_file()


def test_one_process_connects_to_nothing(monkeypatch):
    monkeypatch.setattr(start, "init_process_group", lambda *words, **named: pytest.fail("a group of one"))
    with joined("tasks.train", "mean", 1, "cpu") as ranks, ranks.part(3) as part:
        assert ranks.first
        rows = {"x": torch.ones(3)}
        assert part.cut(rows)["x"] is rows["x"]
        assert ranks.added(rows["x"]) is rows["x"]


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_stage(tmp_path, killed):
    process = subprocess.Popen([sys.executable, "-m", "tests.ranks.endless", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    ids = [tmp_path / "0", tmp_path / "1"]
    while not all(path.is_file() and path.read_text() for path in ids):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    ranks = [psutil.Process(int(path.read_text())) for path in ids]
    began = time.monotonic()
    ranks[killed].kill()
    code, said = process.wait(BOUND_S), process.stderr.read()
    process.stderr.close()
    assert psutil.wait_procs(ranks, timeout=BOUND_S)[1] == []
    assert time.monotonic() - began < BOUND_S
    if killed == 0:
        assert code == -signal.SIGKILL
    else:
        assert code == 128 + signal.SIGKILL
        assert said == "process 1 of 2 was killed, perhaps for its memory: lower processes\n"


def test_what_a_started_process_says_of_its_mistake_is_told(tmp_path):
    Path("tests").unlink()
    Path("tests/ranks").mkdir(parents=True)
    Path("tests/ranks/endless.py").write_text("import sys; sys.exit('nightloom: this machine is full')")
    told = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[0] = {str(ROOT)!r}\nfrom tests.ranks.endless import main\nmain('.')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stderr) == (1, "nightloom: this machine is full\n")


def test_a_process_that_does_not_answer_is_told_after_the_time_allowed(monkeypatch, capfd):
    monkeypatch.setattr(start, "WAIT_S", 1.0)

    def hangs(ranks):
        if not ranks.first:
            time.sleep(3)
        ranks.meet()

    assert team(2, hangs) == [128 + signal.SIGKILL] * 2
    assert re.search(r"one of 2 processes is gone or did not answer: .*[Tt]imed out", capfd.readouterr().err)
