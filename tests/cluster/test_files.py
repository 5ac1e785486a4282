"""docker/: against a linter, what Compose and the Airflow chart know, and rules of our own."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from tests.cluster import compose
from tests.cluster.conftest import NAMES, ROOT

GUARDED = re.compile(r"\$\{(\w+):\?[^}]+\}")
SECRET = re.compile(r"PASSWORD|SECRET|_KEY|CONN\b|BROKER_URL|RESULT_BACKEND|STORE_URI|AUTH\b")
NOT_SECRET = {"AIRFLOW__CORE__AUTH_MANAGER", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"}
RAW: dict[str, Any] = yaml.safe_load(compose.FILE.read_text())
FILLED = compose.read(dict.fromkeys(NAMES, "x"))
SERVICES = FILLED["services"]
VALUES = yaml.safe_load((ROOT / "docker/values.yaml").read_text())
STAGES = ("worker-cpu", "worker-gpu")


def test_the_compose_file_is_what_the_compose_spec_says() -> None:
    PyCompose.from_yaml(yaml.safe_dump(FILLED))


@pytest.mark.parametrize("change", [{"comand": ["x"]}, {"ports": ["127.0.0.1:eighty:80"]}, {"restart": "sometimes"}])
def test_the_parser_would_find_a_mistake(change: dict[str, Any]) -> None:
    broken = {**FILLED, "services": {**SERVICES, "git": {**SERVICES["git"], **change}}}
    with pytest.raises(ValueError, match=f"services.git.*{next(iter(change))}"):
        PyCompose.from_yaml(yaml.safe_dump(broken))


# What the values of the official chart, release 1.22.0, know of what we set (its values.schema.json, read in 2026).
CHART = {
    "": "airflowVersion executor uid gid airflowHome images postgresql redis statsd data fernetKeySecretName env config workers"
    " apiSecretKeySecretName jwtSecretName migrateDatabaseJob createUserJob triggerer apiServer"
    " scheduler dagProcessor",
    "apiServer": "env",
    "data": "metadataSecretName brokerUrlSecretName resultBackendSecretName",
    "images.airflow": "repository tag pullPolicy",
    "migrateDatabaseJob": "args env",
    "workers.celery": "enableDefault livenessProbe logGroomerSidecar persistence terminationGracePeriodSeconds sets",
    "scheduler": "logGroomerSidecar",
    "dagProcessor": "logGroomerSidecar",
    "triggerer": "logGroomerSidecar env",
    "workers.celery.sets": "name queue replicas args env resources tolerations",
}


@pytest.mark.parametrize("place", CHART)
def test_the_values_have_keys_that_the_chart_knows(place: str) -> None:
    found: Any = VALUES
    for word in filter(None, place.split(".")):
        found = found[word]
    for one in found if isinstance(found, list) else [found]:
        assert set(one) <= set(CHART[place].split())


def test_a_worker_set_of_the_chart_asks_for_a_gpu() -> None:
    sets = {one["name"]: one for one in VALUES["workers"]["celery"]["sets"]}
    assert sets["gpu"]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {one["queue"] for one in sets.values()} == {"control", "cpu", "gpu"}


@pytest.mark.parametrize("name", NAMES)
def test_without_a_secret_nothing_starts_and_it_is_named(name: str) -> None:
    with pytest.raises(compose.Unset, match=name):
        compose.read({other: "x" for other in NAMES if other != name})


def test_every_secret_is_guarded_and_listed() -> None:
    assert sorted(set(GUARDED.findall(compose.FILE.read_text()))) == NAMES
    for name, service in RAW["services"].items():
        for key, value in (service.get("environment") or {}).items():
            if SECRET.search(key) and key not in NOT_SECRET:
                assert GUARDED.search(str(value)), f"{name}: {key}"


def test_no_service_has_rights_it_does_not_need() -> None:
    for name, service in SERVICES.items():
        assert service["user"] not in ("root", "0", "0:0"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "pid", "ipc", "network_mode", "devices"} & set(service), name
        for volume in service.get("volumes", ()):
            assert not volume.startswith((".", "~")), f"{name}: {volume} is a folder of the host"
            assert volume.startswith("/") is (":" not in volume), f"{name}: {volume}"


def test_ports_are_those_of_loopback() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_of_the_store_only_what_asks_for_keys_can_be_reached() -> None:
    command = SERVICES["s3"]["command"]
    assert {"-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0", "-s3.config=/etc/seaweedfs/s3.json"} <= set(command)


def test_a_service_that_stays_says_how_it_is_and_comes_back() -> None:
    for name, service in SERVICES.items():
        if name == "start":
            assert service["restart"].startswith("on-failure")
        else:
            assert service["restart"] == "unless-stopped", name
            # a health check of a worker is a process that a stage could read the worker's secrets from
            assert ("healthcheck" in service) is not name.startswith("worker-"), name


def test_named_volumes_are_declared_and_used() -> None:
    used = {v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", ()) if not v.startswith("/")}
    assert used == set(FILLED["volumes"])


def test_workers_that_run_stages_have_no_more_than_they_need() -> None:
    for name in STAGES:
        environment = SERVICES[name]["environment"]
        assert environment["NIGHTLOOM_GIT_USER"] == "reader"
        assert not {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"} & set(
            environment
        )
        assert SERVICES[name]["networks"] == ["inside"]
        assert RAW["services"][name]["environment"]["NIGHTLOOM_GIT_PASSWORD"].startswith("${NIGHTLOOM_READER_PASSWORD:?")
    writers = {name for name, s in SERVICES.items() if (s.get("environment") or {}).get("NIGHTLOOM_GIT_USER") == "writer"}
    assert writers == {"start", "worker-control"}
    assert SERVICES["api-server"]["environment"]["NIGHTLOOM_GIT_USER"] == "reader"  # people see the registry there
    assert FILLED["networks"]["inside"] == {"internal": True}
    devices = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_people_log_in_and_a_task_is_given_to_a_second_worker_only_after_a_week() -> None:
    for name in ("api-server", "scheduler", "dag-processor", "triggerer", "worker-control", *STAGES):
        environment = SERVICES[name]["environment"]
        assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith("FabAuthManager")
        assert environment["AIRFLOW__CELERY__WORKER_CONCURRENCY"] == "1"
        assert environment["AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER"] == "1"
        assert int(environment["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]) == 7 * 24 * 3600


def hadolint(text: str) -> tuple[int, str]:
    """Exit code and findings of the linter, as installed beside this Python."""
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, "--no-color", "-"], input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_linter_finds_nothing_in_the_dockerfile_and_would_find_a_mistake() -> None:
    text = (ROOT / "docker/Dockerfile").read_text()
    assert hadolint(text) == (0, "")
    code, found = hadolint(text + "RUN cd /srv && sudo rm -rf x\n")
    assert code == 1
    assert "DL3004" in found


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: the word and the rest, lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "docker/Dockerfile").read_text())
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line and line[0] not in "# "]


def test_the_dockerfile_pins_its_bases_adds_nothing_from_afar_and_ends_without_rights() -> None:
    stages: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", image), f"{image} has no version"
            stages[name] = []
        else:
            assert word != "ADD", rest
            stages[name].append((word, rest))
    for target in ("node", "s3"):
        users = [rest for word, rest in stages[target] if word == "USER"]
        assert users[-1] == "10001:10001"
        assert FILLED["services"]["git" if target == "node" else "s3"]["user"] == users[-1]
        assert FILLED["services"]["git" if target == "node" else "s3"]["build"]["target"] == target
    assert not any(re.search(r"PASSWORD|SECRET|TOKEN", rest) for word, rest in instructions() if word in ("ARG", "ENV"))


def test_secrets_stay_out_of_git_and_of_the_image() -> None:
    assert "/docker/.env" in (ROOT / ".gitignore").read_text().splitlines()
    assert "docker/.env" in (ROOT / ".dockerignore").read_text().splitlines()
