"""Nights under a real scheduler, in a fresh clone: the first, the next, one whose batch is rejected, and a reproduction."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.run.git import git

pytestmark = pytest.mark.scheduler
ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 900


@dataclass(frozen=True)
class Clone:
    """A clone of this repository and what its nights print."""

    folder: Path
    port: int

    def call(self, *words: str) -> tuple[int, str]:
        """Run `python -m words` in the clone; exit code and output."""
        ports = {"NIGHTLOOM_PORT": str(self.port), "NIGHTLOOM_MLFLOW_PORT": str(self.port + 1)}
        environment = {**os.environ, **ports, "HOME": str(self.folder.parent)}
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        print(done.stdout)
        return done.returncode, done.stdout

    def lock(self, version: str) -> str:
        """dvc.lock of a version."""
        return git("show", f"fused-model@{version}:dvc.lock", cwd=self.folder)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("night") / "clone"
    git("clone", "--quiet", str(ROOT), str(folder))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    yield Clone(folder, port)
    shutil.rmtree(folder, ignore_errors=True)


def order(output: str, state: str) -> list[str]:
    """Task ids in the order in which they got a state."""
    return re.findall(rf"^\s*\d+:\d+\s+(\S+)\s+{state}\b", output, re.MULTILINE)


def encoders(lock: str) -> list[str]:
    """The content of the encoders that a dvc.lock names."""
    return re.findall(r"path: (data/5_models/encoders/\w+)\n\s+hash: md5\n\s+md5: (\w+)", lock)


def test_first_night_promotes_a_fused_model(clone: Clone) -> None:
    code, output = clone.call("tasks.embedded", "run")
    assert code == 0
    assert "fused-model@v1.0.0 reigns as champion number 1" in output
    assert f"Airflow on port {clone.port}, MLflow on port {clone.port + 1}" in output
    started = order(output, "running")
    fitting = [started.index(task) for task in started if task.startswith(("pretrain", "extract", "train"))]
    assert started.index("admit") < min(fitting)
    assert started[-2:] == ["close", "promote"]
    assert git("status", "--porcelain", cwd=clone.folder) == ""
    assert len(set(encoders(clone.lock("v1.0.0")))) == 3


PREDICT = """
import mlflow, pandas
mlflow.set_tracking_uri("sqlite:///{home}/mlflow/mlflow.db")
model = mlflow.pyfunc.load_model("models:/fused-model@champion")
table = pandas.read_csv("{batch}/metadata.csv", dtype=str).head(40)
for modality in ("image", "audio"):
    table[modality + "_file_name"] = "{batch}/" + table[modality + "_file_name"]
print("RIGHT", (model.predict(table)["label"] == table["label"]).mean())
"""


def test_the_registry_answers_to_gto_dvc_and_mlflow(clone: Clone, tmp_path: Path) -> None:
    assert "champion" in subprocess.run(["gto", "history"], cwd=clone.folder, capture_output=True, text=True, check=True).stdout
    get = ["dvc", "artifacts", "get", ".", "fused-model", "--stage", "champion", "-o", str(tmp_path / "champion")]
    subprocess.run(get, cwd=clone.folder, capture_output=True, check=True)
    assert (tmp_path / "champion/bundle.json").is_file()
    code = PREDICT.format(home=clone.folder / ".nightloom", batch=clone.folder / "data/0_landing/night-1")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout.split("RIGHT")[1]) > 0.8


def test_next_night_faces_the_champion_and_fits_no_encoder(clone: Clone) -> None:
    code, output = clone.call("tasks.embedded", "run")
    assert code == 0
    assert re.search(r"champion: 0\.\d+ against 0\.\d+ of v1\.0\.0 on \d+ samples", output)
    closed = git("rev-parse", "refs/remotes/nightloom/nightly", cwd=clone.folder)
    second = git("show", f"{closed}:dvc.lock", cwd=clone.folder)
    assert encoders(second) == encoders(clone.lock("v1.0.0"))
    logs = (clone.folder / ".nightloom/logs/tasks").rglob("*pretrain*/*.log")
    fitting = [log for log in logs if "epoch" in log.read_text()]
    assert len(fitting) == 3  # of the first night


def test_a_broken_batch_stops_before_any_gpu_task_and_says_why(clone: Clone) -> None:
    last = clone.folder / "data/0_landing/night-2"
    broken = clone.folder / "data/0_landing/night-3"
    shutil.copytree(last, broken)
    metadata = (broken / "metadata.csv").read_text().replace("uci-", "new-")
    (broken / "metadata.csv").write_text(re.sub(r"(image|audio)/new-", r"\1/uci-", metadata))
    for picture in sorted((broken / "image").iterdir())[::3]:
        picture.write_bytes(picture.read_bytes()[:100])
    code, output = clone.call("tasks.embedded", "run")
    assert code == 1
    assert "night-3" in output
    assert "quarantine" in output
    assert not any(task.startswith(("pretrain", "extract", "train")) for task in order(output, "running"))
    pages = sorted((clone.folder / ".nightloom/reports").glob("*/index.html"), key=lambda page: page.stat().st_mtime)
    assert "night-3" in pages[-1].read_text()
    assert (broken / "metadata.csv").is_file()


def test_a_version_is_made_again_bit_for_bit(clone: Clone) -> None:
    code, output = clone.call("tasks.reproduce", "v1.0.0")
    assert code == 0
    assert "v1.0.0: bit-identical" in output
    then, now = re.findall(r"work (?:then|now):\s+(.*)", output)
    assert then == now
    assert "steps=" in now
