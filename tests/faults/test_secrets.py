"""A secret in the environment or in an address is in no log, no answer, no commit, no error and no report."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.run.child import Child
from tasks.run.git import GitFailed, git
from tasks.run.redact import redacted
from tests.faults.stages import ended, run
from tests.run.conftest import Project

CANARY = "c4n4ry-7f3a"
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "AIRFLOW_CONN_STORE": f"http://user:{CANARY}@host/",
    "MLFLOW_TRACKING_PASSWORD": CANARY,
    "NIGHTLOOM_WEBHOOK": f"https://example.org/{CANARY}",
    "NIGHTLOOM_MLFLOW": f"http://user:{CANARY}@127.0.0.1:9/",
}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"postgresql+psycopg2://airflow:{CANARY}@db/airflow", "postgresql+psycopg2://***@db/airflow"),
        (f"s3://key:{CANARY}@bucket/prefix", "s3://***@bucket/prefix"),
        (f"https://{CANARY}@git/central.git", "https://***@git/central.git"),
        (f"redis://:{CANARY}@redis:6379/0", "redis://***@redis:6379/0"),
        ("ssh://git@host/central.git", "ssh://git@host/central.git"),
        ("fused-model@v1.0.0 at 10:30, see https://host:8080/a@b", "fused-model@v1.0.0 at 10:30, see https://host:8080/a@b"),
    ],
)
def test_logins_are_taken_out_of_addresses_and_nothing_else_is(text: str, left: str) -> None:
    assert redacted(text) == left


def test_values_of_secret_variables_are_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert redacted(f"refused: {CANARY}, C.UTF-8") == "refused: ***, C.UTF-8"


def test_git_tells_no_login(tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match=r"git clone .*127\.0\.0\.1:9") as raised:
        git("clone", f"http://user:{CANARY}@127.0.0.1:9/central.git", str(tmp_path / "clone"))
    assert CANARY not in str(raised.value)


SPILL = 'import os, sys; print(dict(os.environ)); print("http://u:" + sys.argv[1] + "@h/"); os.makedirs("data/2_profiles")'
STAGES = f"""
stages:
  profile:
    cmd: python -c '{SPILL}' from-the-command-line && tr '\\0' '\\n' < /proc/$PPID/environ > data/2_profiles/all; true
    deps: [data/1_raw.json]
    outs: [data/2_profiles]
"""


def everything(project: Project) -> str:
    """All that central and the home hold: commits, tags, dvc.lock, objects, reports."""
    central = Path(project.settings.central)
    texts = [git("log", "--all", "--patch", "--format=%B", cwd=central)]
    texts += [path.read_bytes().decode(errors="replace") for path in project.settings.home.rglob("*") if path.is_file()]
    return "\n".join(texts)


def test_no_stage_and_no_answer_holds_a_secret(project: Project) -> None:
    commit = project.commit(dvc_yaml=STAGES)
    code, last, lines = ended(project, commit, "profile", {}, **SECRETS)
    assert code == 0, last
    assert "PYTHONHASHSEED" in "\n".join(lines)  # the stage did print what it sees
    assert CANARY not in "\n".join(lines)
    done = run(project, commit, "profile", {}, **SECRETS)
    assert CANARY not in json.dumps(done)
    assert CANARY not in everything(project)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NIGHTLOOM_CENTRAL", f"http://user:{CANARY}@127.0.0.1:9/central.git"),
        ("NIGHTLOOM_REMOTE", f"http://user:{CANARY}@127.0.0.1:9/remote"),
        ("NIGHTLOOM_LANDING", f"s3://key:{CANARY}@bucket/landing"),
    ],
)
def test_an_address_that_does_not_answer_is_told_without_its_login(
    project: Project, name: str, value: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (project.settings.home / "landing").mkdir()
    form: dict[str, Any] = {"verb": "open", "run": "r", "form": {}, "deployed": {}}
    environment = {
        **os.environ,
        "NIGHTLOOM_HOME": str(project.settings.home),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        name: value,
    }
    done = Child("tasks.run", form, {**environment, "PYTHONPATH": str(Path.cwd())}).wait()
    assert done.code != 0
    out, err = capfd.readouterr()
    assert CANARY not in out + err + done.last
    assert CANARY not in everything(project)


def test_the_canary_is_seen_where_nothing_hides_it() -> None:
    seen = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ)"], env=SECRETS, capture_output=True, text=True, check=True
    )
    assert CANARY in seen.stdout
