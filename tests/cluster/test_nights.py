"""The same night on one machine, on a cluster of one worker and of three: the same dvc.lock, byte for byte."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from mlflow import MlflowClient

from tasks.embedded.rest import Rest, Unreachable
from tasks.run.git import git
from tests import strangers
from tests.cluster import stack as stacks
from tests.cluster.conftest import NIGHT_S, OneMachine, upload
from tests.cluster.stack import Instance, Stack

pytestmark = pytest.mark.cluster
DAG = "retrain"


@dataclass(frozen=True)
class Night:
    """A night that is over."""

    kind: str  # how it was started
    lock: str
    registry: str
    returned: str  # what its tasks left in XCom
    workers: tuple[Instance, ...]
    tasks: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Instance:
    """One for all queues."""
    return stack.start("worker-control", queues="control,cpu,gpu")


@pytest.fixture(scope="module")
def rest(stack: Stack, worker: Instance) -> Rest:
    """Airflow, once it is ready; the worker starts meanwhile."""
    api = Rest(f"http://127.0.0.1:{stack.port('api-server')}", "admin", stack.variables["NIGHTLOOM_ADMIN_PASSWORD"])
    stack.wait(lambda: there(api), "Airflow did not read the DAG")
    stack.wait(lambda: stacks.healthy(stack.port("mlflow"), "/health"), "MLflow did not start")
    stack.wait(lambda: unpaused(api), "Airflow did not unpause the DAG")
    return api


def unpaused(api: Rest) -> bool:
    try:
        return not api.call("PATCH", f"/dags/{DAG}", {"is_paused": False})["is_paused"]
    except Unreachable:  # a machine under load
        return False


def there(api: Rest) -> bool:
    try:
        return api.find(f"/dags/{DAG}") is not None
    except Unreachable:
        return False


def over(stack: Stack, rest: Rest, number: int, workers: tuple[Instance, ...]) -> Night:
    """Wait for the end of the session's n-th run."""

    def ended() -> Any:
        try:
            runs = rest.call("GET", f"/dags/{DAG}/dagRuns", order_by="run_after")["dag_runs"]
        except Unreachable:  # a machine under load
            return False
        return len(runs) >= number and runs[number - 1]["state"] in ("success", "failed") and runs[number - 1]

    run = stack.wait(ended, "the night did not end", NIGHT_S)
    listed = rest.call("GET", f"/dags/{DAG}/dagRuns/{run['dag_run_id']}/taskInstances", limit=100)["task_instances"]
    tasks = {task["task_id"]: task for task in listed}
    failed = [name for name, task in tasks.items() if task["state"] == "failed"]
    assert run["state"] == "success", f"{failed}\n{logs(workers)[-6000:]}"
    central = [instance for instance in stack.instances if instance.name.startswith("git-")][-1].folder / "srv-central"
    repository = central / "central.git"
    return Night(
        run["run_type"],
        git("-c", "safe.directory=*", "show", "nightly:dvc.lock", cwd=repository),
        git("-c", "safe.directory=*", "for-each-ref", "--format=%(refname) %(contents)", cwd=repository),
        str([rest.xcom(DAG, run["dag_run_id"], task) for task in tasks]),
        workers,
        tasks,
    )


def logs(workers: tuple[Instance, ...]) -> str:
    """What the tasks of these workers printed."""
    found = [path for worker in workers for path in sorted((worker.folder / "home-nightloom/logs").rglob("attempt=*.log"))]
    return "\n".join(f"--- {path}\n{path.read_text()}" for path in found)


@pytest.fixture(scope="module")
def alone(stack: Stack, worker: Instance, rest: Rest, batch: Path) -> Night:
    """The first night, on one worker; it begins because a batch lands in the bucket."""
    upload(stack, batch)
    return over(stack, rest, 1, (worker,))


@pytest.fixture(scope="module")
def together(stack: Stack, rest: Rest, alone: Night) -> Night:
    """The same night from nothing, on three workers: an empty central, an empty remote."""
    stack.stop(*alone.workers, *(instance for instance in stack.instances if instance.name.startswith("git-")))
    stack.start("git")
    stack.wait(lambda: stacks.listens(stack.port("git")), "git did not start")
    again = {"NIGHTLOOM_REMOTE": "s3://nightloom/again"}
    names = ("worker-control", "worker-cpu", "worker-gpu")
    workers = tuple(stack.start(name, **again) for name in names)
    stack.once("start", **again)
    rest.call("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": {}})
    return over(stack, rest, 2, workers)


def test_three_workers_give_what_one_gives(together: Night, alone: Night) -> None:
    assert together.kind == "manual"
    assert together.lock == alone.lock
    ran = {task: facts["queue"] for task, facts in together.tasks.items() if facts["state"] == "success"}
    assert {task for task, queue in ran.items() if queue == "control"} >= {"open", "admit", "close"}
    assert {"cpu", "gpu"} <= set(ran.values())
    for worker, queue in zip(together.workers, ("control", "cpu", "gpu"), strict=True):
        done = {path.parent.name.removeprefix("task_id=") for path in worker.folder.rglob("attempt=*.log")}
        assert done == {task for task in done if together.tasks[task]["queue"] == queue}
        assert done


def test_one_worker_gives_what_one_machine_gives(alone: Night, one_machine: OneMachine) -> None:
    assert alone.kind == "asset_triggered"  # the batch in the bucket began it
    assert alone.lock == one_machine.lock()


def test_mlflow_shows_what_was_promoted(stack: Stack, together: Night) -> None:
    assert "fused-model@v1.0.0" in together.registry
    assert "MLflow does not show" not in logs(together.workers)
    client = MlflowClient(f"http://127.0.0.1:{stack.port('mlflow')}")
    assert client.get_model_version_by_alias("fused-model", "champion").tags["version"] == "v1.0.0"


class Somebody:
    """A user of the cluster's Airflow."""

    def __init__(self, url: str, name: str, password: str) -> None:
        login = {"username": name, "password": password}
        told = requests.post(f"{url}/auth/token", json=login, timeout=60).json()
        self.url = url
        self.headers = {"Authorization": f"Bearer {told['access_token']}"}

    def sends(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, self.url + path, json=body, headers=self.headers, timeout=60)

    def adds(self, name: str, role: str) -> "Somebody":
        """A user with this role, made by this one."""
        password = f"password-of-{name}"
        person = {"username": name, "password": password, "email": f"{name}@ward.org", "first_name": name, "last_name": "x"}
        assert self.sends("POST", "/auth/fab/v1/users", {**person, "roles": [{"name": role}]}).ok
        return Somebody(self.url, name, password)


def test_report_and_registry_open_in_airflow_for_whoever_may_read_the_dag(stack: Stack, rest: Rest, together: Night) -> None:
    run = rest.call("GET", f"/dags/{DAG}/dagRuns", run_type="manual")["dag_runs"][0]["dag_run_id"]
    report, registry = f"/nightloom/runs/{DAG}/{quote(run)}/", "/nightloom/registry"
    admin = Somebody(rest.url, "admin", stack.variables["NIGHTLOOM_ADMIN_PASSWORD"])
    viewer = admin.adds("viewer", "Viewer")
    for somebody in (admin, viewer):
        found = somebody.sends("GET", report)
        assert found.status_code == 200
        assert "<h1>promote</h1>" in found.text
        assert "this is what Airflow kept of it" not in found.text  # it is the page itself, which another machine wrote
        found = somebody.sends("GET", registry)
        assert "v1.0.0 reigns" in found.text
        assert run in found.text
    assert viewer.sends("POST", f"/api/v2/dags/{DAG}/dagRuns", {"logical_date": None, "conf": {}}).status_code == 403
    assert admin.sends("POST", "/auth/fab/v1/roles", {"name": "stranger", "actions": []}).ok
    stranger = admin.adds("stranger", "stranger")
    assert [stranger.sends("GET", path).status_code for path in (report, registry)] == [403, 403]
    assert [requests.get(rest.url + path, timeout=60).status_code for path in (report, registry)] == [401, 401]


def test_a_stage_finds_no_secret(alone: Night, together: Night) -> None:
    for night in (alone, together):
        said = logs(night.workers)
        assert "looked at" in said
        assert "HIT" not in said


def test_nothing_that_is_kept_holds_a_secret(stack: Stack, alone: Night, together: Night) -> None:
    for instance in stack.instances:
        told = [value for value in stack.variables.values() if value in instance.log]
        assert not told, instance.name
    for night in (alone, together):
        assert "'commit': " in night.returned
        assert "Run: " in night.registry
        assert "canary" not in logs(night.workers) + night.lock + night.registry + night.returned
        for worker in night.workers:  # reports, caches, whatever was left
            files = [path for path in worker.folder.rglob("*") if path.is_file() and not path.is_symlink()]
            assert files
            assert [path for path in files if b"canary" in path.read_bytes()] == []


def test_a_worker_reads_nothing_of_the_others(stack: Stack, together: Night) -> None:
    uids = [worker.uid for worker in together.workers]
    assert len(set(uids)) == 3
    for worker in together.workers:
        assert worker.folder.stat().st_mode & 0o777 == 0o700
        others = [str(instance.folder) for instance in stack.instances if instance is not worker]
        words = ["find", *others, "(", "-readable", "-o", "-writable", ")", "-print"]
        seen = subprocess.run(strangers.command(worker.uid, words), capture_output=True, text=True, check=False).stdout.split()
        assert seen == []
        left = [path for path in stack.folder.rglob("*") if path.lstat().st_uid == worker.uid]
        assert all(path.is_relative_to(worker.folder) for path in left)
