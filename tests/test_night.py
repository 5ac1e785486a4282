"""Nights under a real scheduler, in a fresh clone: `make run`, then `make up`, where the next batches begin them.

In the second the next night faces the champion and waits for a person, a broken batch is rejected while the first version is
verified, people are told, and `make gc` clears Airflow's history.
"""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.embedded.answer import waiting
from tasks.embedded.environment import USER, password
from tasks.embedded.follow import OVER, tasks
from tasks.embedded.rest import Rest
from tasks.run.git import git
from tests.notices.servers import Web, serving

pytestmark = pytest.mark.scheduler
ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 1500  # on a machine that others use as well
LEARNING = ("pretrain", "extract", "train", "plain")


@dataclass(frozen=True)
class Clone:
    """A clone of this repository and what is done there."""

    folder: Path
    port: int
    mlflow_port: int

    @property
    def home(self) -> Path:
        return self.folder / ".nightloom"

    @property
    def environment(self) -> dict[str, str]:
        ports = {"NIGHTLOOM_PORT": str(self.port), "NIGHTLOOM_MLFLOW_PORT": str(self.mlflow_port)}
        zones = {"NIGHTLOOM_SCORE_LANDING": "data/0_to_score", "NIGHTLOOM_SCHEDULE": "0 0 1 1 *"}  # a batch begins a night
        return {**os.environ, **ports, **zones, "HOME": str(self.folder.parent)}

    def call(self, *words: str) -> tuple[int, str]:
        """Run `python -m words` in the clone; exit code and output."""
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        print(done.stdout)
        return done.returncode, done.stdout

    def central(self, *words: str) -> str:
        """A git command in central."""
        return git(*words, cwd=self.home / "central.git")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("night") / "clone"
    git("clone", "--quiet", str(ROOT), str(folder))
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    yield Clone(folder, *ports)
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
    assert f"Airflow on port {clone.port}, MLflow on port {clone.mlflow_port}" in output
    started = list(dict.fromkeys(order(output, "(?:running|success)")))  # who is quick is seen only when he has ended
    fitting = [started.index(task) for task in started if task.startswith(LEARNING)]
    assert started.index("admit") < min(fitting)
    assert [task for task in started if task != "docs"][-2:] == ["close", "promote"]  # it comes beside `close`
    assert git("status", "--porcelain", cwd=clone.folder) == ""
    lock = git("show", "fused-model@v1.0.0:dvc.lock", cwd=clone.folder)  # `make run` has fetched it
    assert len(set(encoders(lock))) == 3


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
    code = PREDICT.format(home=clone.home, batch=clone.folder / "data/0_landing/night-1")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout.split("RIGHT")[1]) > 0.8


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """Where notices go."""
    with serving(Web()) as server:
        yield server


@pytest.fixture(scope="module")
def up(clone: Clone, web: Web) -> Iterator[Rest]:
    """`make up`, where the next night waits, and some of it to be predicted; a person is asked before a candidate is promoted."""
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("promotion: auto", "promotion: approve"))
    git("commit", "--quiet", "--all", "--message=Ask a person", cwd=clone.folder)
    recipe = [sys.executable, "-m", "data.recipes.digits.generate", "--night", "2", "--to", "data/0_landing"]
    subprocess.run(recipe, cwd=clone.folder, check=True, capture_output=True)
    unlabelled(clone)
    log = clone.folder.parent / "up.log"
    with log.open("w") as said:
        command = [sys.executable, "-m", "tasks.embedded", "up"]
        environment = {**clone.environment, "NIGHTLOOM_WEBHOOK": web.url("/canary")}
        process = subprocess.Popen(command, cwd=clone.folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
    try:
        until(lambda: process.poll() is not None or "Ctrl-C stops everything" in log.read_text(), log.read_text)
        assert process.poll() is None, log.read_text()
        yield Rest(f"http://127.0.0.1:{clone.port}", USER, password(clone.home / "airflow"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert "stopped; nothing is left running" in log.read_text()


def unlabelled(clone: Clone, rows: int = 40) -> None:
    """Land some of the next night's samples to be predicted."""
    night, batch = clone.folder / "data/0_landing/night-2", clone.folder / "data/0_to_score/new"
    table = pd.read_csv(night / "metadata.csv", dtype=str, keep_default_na=False).head(rows).drop(columns="label")
    for name in filter(None, [*table["image_file_name"], *table["audio_file_name"]]):
        (batch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(night / name, batch / name)
    table.to_csv(batch / "metadata.csv", index=False)


@pytest.fixture(scope="module")
def remade(up: Rest) -> str:
    """The first version is made again, beside the nights: the id of that run."""
    conf = {"logical_date": None, "conf": {"version": "v1.0.0"}}
    return str(up.call("POST", "/dags/verify/dagRuns", conf)["dag_run_id"])


def until(found: Callable[[], Any], late: Callable[[], str]) -> Any:
    """Wait for something true."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(1)
    raise AssertionError(late())


def landed(rest: Rest, number: int) -> str:
    """Wait for the end of the n-th run that a batch began; its id."""
    query = {"run_type": "asset_triggered", "order_by": "run_after"}

    def over() -> str | None:
        runs = rest.call("GET", "/dags/retrain/dagRuns", **query)["dag_runs"]
        return str(runs[number - 1]["dag_run_id"]) if len(runs) >= number and runs[number - 1]["state"] in OVER else None

    return str(until(over, lambda: f"run {number} that a batch begins did not end"))


def test_next_night_faces_the_champion_and_fits_no_encoder(clone: Clone, up: Rest, remade: str) -> None:
    [run] = until(lambda: waiting(up), lambda: "the night did not wait for a person")
    assert clone.central("tag", "--list", "fused-model#champion#2") == ""
    code, said = clone.call("tasks.embedded", "approve", "--reason", "looked at it")
    assert (code, said) == (0, f"approve: {run}: it goes on\n")
    assert landed(up, 1) == run
    told = clone.central("for-each-ref", "--format=%(contents)", "refs/tags/fused-model#champion#2").splitlines()
    assert {f"Run: {run}", f"Approved-by: {USER}", "Reason: looked at it"} <= set(told)
    with sqlite3.connect(clone.home / "mlflow/mlflow.db") as database:
        query = "SELECT t.key, t.value FROM tags t JOIN tags r ON r.run_uuid = t.run_uuid AND r.value = ?"
        tags = dict(database.execute(query, (run,)).fetchall())
    database.close()
    assert {"approval": "approved", "approval.by": USER, "approval.reason": "looked at it"}.items() <= tags.items()
    assert up.xcom("retrain", run, "approve")["commit"] == clone.central("rev-parse", "fused-model#champion#2^{commit}")
    assert up.call("GET", f"/dags/retrain/dagRuns/{run}")["state"] == "success"
    reasons = {row["name"]: row["reason"] for row in up.xcom("retrain", run, "close")["verdict"]["rows"]}
    assert re.match(r"0\.\d+ against 0\.\d+ of v1\.0\.0 on \d+ samples", reasons["champion"])
    second = clone.central("show", "nightly:dvc.lock")
    assert encoders(second) == encoders(clone.central("show", "fused-model@v1.0.0:dvc.lock"))
    logs = (clone.home / "logs/tasks").rglob("*pretrain*/*.log")
    fitting = [log for log in logs if "epoch" in log.read_text()]
    assert len(fitting) == 3  # of the first night


@pytest.fixture(scope="module")
def rejected(clone: Clone, up: Rest) -> str:
    """A night whose batch is broken: the id of its run."""
    last = clone.folder / "data/0_landing/night-2"
    broken = clone.folder / "data/0_landing/night-3"
    shutil.copytree(last, broken, ignore=shutil.ignore_patterns("metadata.csv"))
    for picture in sorted((broken / "image").iterdir())[::3]:
        picture.write_bytes(picture.read_bytes()[:100])
    metadata = (last / "metadata.csv").read_text().replace("uci-", "new-")
    (broken / "metadata.csv").write_text(re.sub(r"(image|audio)/new-", r"\1/uci-", metadata))
    return landed(up, 2)


def test_a_broken_batch_stops_before_any_gpu_task_and_says_why(clone: Clone, up: Rest, rejected: str) -> None:
    assert up.call("GET", f"/dags/retrain/dagRuns/{rejected}")["state"] == "failed"
    closed = up.xcom("retrain", rejected, "close")
    assert closed["outcome"] == "batch rejected"
    assert any("night-3" in problem and "quarantine" in problem for problem in closed["problems"])
    began = {task["task_id"] for task in tasks(up, "retrain", rejected) if task["try_number"]}
    assert {"open", "validate", "admit", "close"} <= began
    assert not any(task.startswith(LEARNING) for task in began)
    assert "night-3" in Path(closed["report"]).read_text()
    assert (clone.folder / "data/0_landing/night-3/metadata.csv").is_file()


def test_people_were_told_once_what_happened_and_where_to_look(clone: Clone, web: Web, rejected: str, remade: str) -> None:
    told = [body for _, body in web.got if body["event"] != "drift"]
    assert [body["event"] for body in told] == ["approval", "promotion", "rejection"]
    for body in told:
        assert body["look"].startswith(f"report: {clone.home}/reports/")
        assert body["link"].startswith(f"http://127.0.0.1:{clone.port}/dags/retrain/runs/")
    assert "approved by nightloom: looked at it" in told[1]["why"]
    assert "quarantine" in told[2]["why"]
    logs = [path.read_text() for path in (clone.home / "logs").rglob("*.log")]
    assert any("notice of promotion sent by webhook" in log for log in logs)
    assert not any("/canary" in log for log in logs)


def test_a_version_is_verified_bit_for_bit_and_the_registry_says_so(clone: Clone, up: Rest, remade: str) -> None:
    path = f"/dags/verify/dagRuns/{remade}"
    state = until(lambda: (now := up.call("GET", path)["state"]) in OVER and now, lambda: "verify did not end")
    assert state == "success"
    found = up.xcom("verify", remade, "remake")
    assert (found["differing"], found["work_differing"]) == ([], [])
    said = clone.central("for-each-ref", "--format=%(refname:short) %(*objectname)%0a%(contents)", "refs/tags/fused-model#*#*")
    entry = said[said.index("fused-model#verified#1") :]
    assert entry.split()[1] == clone.central("rev-parse", "fused-model@v1.0.0^{commit}")
    for line in ("Version: v1.0.0", "Outcome: bit-identical", "Work: the same", f"Run: {remade}"):
        assert line in entry.splitlines()


def test_the_champion_predicts_what_has_landed_for_it_and_labels_that_come_later_score_it(clone: Clone, up: Rest) -> None:
    predictions = clone.home / "remote/predictions"
    live = predictions / "live/v1.0.0.json"
    until(live.is_file, lambda: "the night that brought the labels did not lead to a live score")
    table = pd.read_parquet(predictions / "v1.0.0").set_index("sample_id")
    night = pd.read_csv(clone.folder / "data/0_landing/night-2/metadata.csv", dtype=str).set_index("sample_id")
    assert len(table) == 40
    assert (table["label"] == night.loc[table.index, "label"]).mean() > 0.8
    assert not table["seen"].any()
    point = json.loads(live.read_text())["targets"]["label"]["all"]
    labels = night.loc[table.index, "label"].dropna()
    assert point["samples"] == len(labels)
    assert point["value"] == pytest.approx((table.loc[labels.index, "label"] == labels).mean())
    if "fused-model@v1.0.1" in clone.central("tag"):  # another version reigns: it predicts the same batch
        until((predictions / "v1.0.1").is_dir, lambda: "the new champion did not predict what lies there")


def test_gc_takes_old_runs_out_of_airflows_history_and_leaves_the_others(
    clone: Clone, up: Rest, rejected: str, remade: str
) -> None:
    runs = {run["dag_run_id"] for run in up.call("GET", "/dags/retrain/dagRuns")["dag_runs"]}
    kept = runs - {rejected}
    before = {run: names(up, run) for run in runs}
    age(clone.home / "airflow/airflow.db", rejected)
    code, output = clone.call("tasks.gc")
    rows = 1 + len(before[rejected])
    assert code == 0
    assert f"would go: Airflow: {rows} rows from before" in output
    assert "WARNING" not in output
    assert names(up, rejected) == before[rejected]
    code, output = clone.call("tasks.gc", "--yes")
    assert code == 0
    assert f"deleted: Airflow: {rows} rows from before" in output
    assert {run["dag_run_id"] for run in up.call("GET", "/dags/retrain/dagRuns")["dag_runs"]} == kept
    assert {run: names(up, run) for run in kept} == {run: before[run] for run in kept}
    assert up.xcom("verify", remade, "record")["outcome"] == "bit-identical"


def names(rest: Rest, run: str) -> list[str]:
    """The tasks of a run, each with its state."""
    return sorted(f"{task['task_id']} {task['state']}" for task in tasks(rest, "retrain", run))


def age(database: Path, run: str) -> None:
    """Let a run have been a hundred days ago."""
    long_ago = f"{datetime.now(UTC) - timedelta(days=100):%Y-%m-%d %H:%M:%S.%f}"
    with sqlite3.connect(database, timeout=60) as connection:
        for table in ("dag_run", "task_instance"):
            connection.execute(f"UPDATE {table} SET start_date = ?, end_date = ? WHERE run_id = ?", (long_ago, long_ago, run))  # noqa: S608
    connection.close()
