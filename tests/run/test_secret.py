"""Secrets and the processes of one user, as a user without rights: a spy among the stages finds none."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.run.secret import divide
from tests import strangers

UID = 61234
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "canary-aws",
    "NIGHTLOOM_GIT_PASSWORD": "canary-git",
    "MLFLOW_TRACKING_PASSWORD": "canary-mlflow",
    "SOME_API_TOKEN": "canary-token",
    "BROKER": "redis://user:canary-broker@redis:6379/0",
}
AIRFLOW = {"AIRFLOW__CELERY__BROKER_URL": "redis://:canary-celery@redis/0", "AIRFLOW__API_AUTH__JWT_SECRET": "canary-jwt"}
WORKER = """
import subprocess, sys
from tasks.run.secret import conceal
{conceal}
from tasks.run.child import Child
decoy = subprocess.Popen(["sleep", "60"], env={{"DECOY": "canary-" + "decoy"}})
body = {{"names": {names}, "home": sys.argv[1] + "/stages", "folders": [sys.argv[1]]}}
print("CODE", Child("tests.run.told", body).wait().code)
decoy.kill()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nightloom-"))
    folder.chmod(0o711)
    yield strangers.home(folder / "home", UID)
    shutil.rmtree(folder)


def spied(home: Path, conceal: str) -> str:
    """What a worker prints whose stage is the spy."""
    if reason := strangers.cannot():
        pytest.skip(reason)
    code = WORKER.format(conceal=conceal, names=[*SECRETS, *AIRFLOW])
    done = subprocess.run(
        strangers.command(UID, [sys.executable, "-c", code, str(home)]),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHONPATH": str(Path.cwd()),
            **SECRETS,
            **AIRFLOW,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert "CODE 0" in done.stdout, done.stdout
    return done.stdout


def test_a_stage_finds_no_secret_of_the_processes_around_it(home: Path) -> None:
    said = spied(home, "conceal()")
    for name in SECRETS:
        assert f"TOLD {name} True" in said
    for name in AIRFLOW:
        assert f"TOLD {name} False" in said
    hits = {line.split()[1] for line in said.splitlines() if line.startswith("HIT")}
    assert hits == {"decoy"}, said  # the spy does find what is not hidden


def test_the_spy_would_find_them_in_a_worker_that_does_not_hide(home: Path) -> None:
    hits = {line.split()[1] for line in spied(home, "").splitlines() if line.startswith("HIT")}
    assert {"aws", "git", "mlflow", "broker", "jwt"} <= hits


def test_what_is_no_secret_stays_in_the_environment() -> None:
    secret = {"X": "http://a:b@c/", "NIGHTLOOM_WEBHOOK": "http://c/", "NIGHTLOOM_SLACK_WEBHOOK": "http://d/"}
    plain, told = divide({"PATH": "/bin", "HOME": "/h", "NIGHTLOOM_CENTRAL": "http://git/central.git", **secret})
    assert sorted(plain) == ["HOME", "NIGHTLOOM_CENTRAL", "PATH"]
    assert told == secret


def test_a_worker_is_airflow_and_ends_with_its_exit_code() -> None:
    for words, code, said in ((["version"], 0, "3.3.2"), (["nonsense"], 2, "invalid choice")):
        command = [sys.executable, "-m", "tasks.cluster.worker", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, said in done.stdout + done.stderr) == (code, True)


def test_the_first_process_of_a_container_ends_as_its_worker_does() -> None:
    if reason := strangers.cannot():
        pytest.skip(reason)
    first = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", "tasks.cluster.worker"]
    assert subprocess.run([*first, "nonsense"], capture_output=True, check=False).returncode == 2
    assert b"3.3.2" in subprocess.run([*first, "version"], capture_output=True, check=True).stdout
