"""One cluster for the session: a commit with small parameters, its services, a batch."""

import base64
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import yaml

from tasks.run.git import git
from tests.cluster import stack as stacks
from tests.cluster.stack import Stack

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = [line.removesuffix("=") for line in (ROOT / "docker/.env.example").read_text().splitlines() if line.endswith("=")]
NIGHT_S = 1500  # on a machine that others use as well
BATCH = "night-2"  # 360 samples
SMALL = {
    "pretrain": {"epochs": 1},
    "train": {"epochs": 2, "finetune": []},
    "evaluate": {"bootstrap": 100, "examples": 2},
    "robustness": {"samples": 20},
    "fusions": ["concat"],
}
# What a stage can see of its surroundings; on one machine, as root, it would see everything, which says nothing.
SPY = (
    'set -e; test "$(id -u)" = 0 || python spy.py .git .dvc ../../stages;'
    " mkdir -p data/6_reports && echo looked > data/6_reports/spy.txt"
)


def secrets() -> dict[str, str]:
    """A value for each name of docker/.env.example that the spy knows when it sees it."""
    made = {name: f"canary-{name.removeprefix('NIGHTLOOM_').replace('_', '').lower()}-0123456789" for name in NAMES}
    return {**made, "NIGHTLOOM_FERNET_KEY": base64.urlsafe_b64encode(b"f" * 32).decode()}


def skip(reason: str) -> None:
    """Skip, but not where the whole suite must run."""
    if os.environ.get("NIGHTLOOM_CI"):
        pytest.fail(f"NIGHTLOOM_CI is set, so the cluster must be tested: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that other users may pass through."""
    made = Path(tempfile.mkdtemp(prefix="nightloom-cluster-"))
    made.chmod(0o711)
    yield made
    if not os.environ.get("NIGHTLOOM_KEEP"):
        shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def code(folder: Path) -> Path:
    """The commit that runs: the product's, with small parameters and a stage that spies."""
    clone = folder / "app"
    git("clone", "--quiet", str(ROOT), str(clone))
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params["modalities"] = {name: params["modalities"][name] for name in ("image", "text")}
    (clone / "params.yaml").write_text(yaml.safe_dump({**params, **SMALL}))
    pipeline = (clone / "dvc.yaml").read_text()
    stage = {"spy": {"cmd": SPY, "deps": ["data/1_raw.json"], "outs": ["data/6_reports/spy.txt"]}}
    (clone / "dvc.yaml").write_text(pipeline.replace("\nartifacts:", "\n" + indented(yaml.safe_dump(stage)) + "\nartifacts:"))
    shutil.copy(ROOT / "tests/run/spy.py", clone / "spy.py")  # where stages run there are no tests
    git("add", "spy.py", cwd=clone)
    git("commit", "--quiet", "--all", "--message=small", cwd=clone)
    return clone


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


@pytest.fixture(scope="session")
def batch(folder: Path) -> Path:
    """A night of the sample, as people would land it."""
    recipe = [sys.executable, "-m", "data.recipes.digits.generate", "--night", BATCH.split("-")[1]]
    subprocess.run([*recipe, "--to", str(folder / "landing")], cwd=ROOT, check=True, capture_output=True)
    return folder / "landing" / BATCH


@dataclass(frozen=True)
class OneMachine:
    """A night of the same commit and batch on one machine, which goes on beside those of the cluster."""

    clone: Path
    log: Path
    process: "subprocess.Popen[bytes]"

    def lock(self) -> str:
        """Wait for its end; its dvc.lock."""
        assert self.process.wait(timeout=NIGHT_S) == 0, self.log.read_text()[-5000:]
        return git("show", "nightly:dvc.lock", cwd=self.clone / ".nightloom/central.git")


@pytest.fixture(scope="session")
def one_machine(folder: Path, code: Path, batch: Path) -> Iterator[OneMachine]:
    if reason := stacks.missing():
        skip(reason)
    clone, log = folder / "one-machine", folder / "one-machine.log"
    git("clone", "--quiet", str(code), str(clone))
    settings = {"NIGHTLOOM_PORT": str(stacks.free_port()), "NIGHTLOOM_LANDING": str(batch.parent), "HOME": str(folder)}
    command = [sys.executable, "-m", "tasks.embedded", "run"]
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=clone, env={**os.environ, **settings}, stdout=said, stderr=subprocess.STDOUT)
    yield OneMachine(clone, log, process)
    process.terminate()  # if it is not over yet
    process.wait(timeout=60)


@pytest.fixture(scope="session")
def stack(folder: Path, code: Path, one_machine: OneMachine) -> Iterator[Stack]:
    """The services but the workers, up and deployed; the night on one machine is begun before, as starting takes long."""
    never = {"NIGHTLOOM_SCHEDULE": "0 0 1 1 *"}  # what begins a night here is a batch, at whatever hour
    made = Stack(folder, code, {**secrets(), **never})
    try:
        for service in ("postgres", "redis", "s3", "git"):
            made.start(service)
        ports = [made.port(service) for service in ("postgres", "redis", "s3", "git")]
        made.wait(lambda: all(map(stacks.listens, ports)), "the stores did not start")
        made.once("start")
        for service in ("api-server", "scheduler", "dag-processor", "triggerer", "mlflow"):
            made.start(service)
        yield made
    finally:
        made.stop()


def upload(stack: Stack, batch: Path) -> None:
    """Land a batch in the bucket, metadata.csv last."""
    variables = stack.variables
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{stack.port('s3')}",
        aws_access_key_id=variables["NIGHTLOOM_S3_KEY"],
        aws_secret_access_key=variables["NIGHTLOOM_S3_SECRET"],
        region_name="us-east-1",
    )
    files = sorted((path for path in batch.rglob("*") if path.is_file()), key=lambda path: path.name == "metadata.csv")
    for path in files:
        key = f"landing/{batch.name}/{path.relative_to(batch).as_posix()}"
        client.put_object(Bucket="nightloom", Key=key, Body=path.read_bytes())
