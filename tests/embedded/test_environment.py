"""What Airflow's processes see."""

import stat
from pathlib import Path

import pytest

from tasks.embedded import environment
from tasks.embedded.deploy import deploy
from tasks.errors import WrongValue
from tasks.run.settings import Settings, settings
from tests.embedded.conftest import PARAMS, commit


def test_everything_is_on_loopback_and_below_the_home(checkout: Path, s: Settings) -> None:
    deploy(checkout, s)
    seen = environment.environment(s, checkout, 8123)
    assert seen["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert seen["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert "127.0.0.1" in seen["NO_PROXY"]
    for key in ("AIRFLOW_HOME", "AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__LOGGING__BASE_LOG_FOLDER", "PYTHONPATH"):
        assert Path(seen[key]).is_relative_to(s.home), key
    assert seen["NIGHTLOOM_LANDING"] == str(checkout / "data/0_landing")


def test_settings_of_another_airflow_do_not_leak_in(checkout: Path, s: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD", "cat elsewhere")
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", "smtp://mail.example.org")  # a person's own: notices go there
    deploy(checkout, s)
    seen = environment.environment(s, checkout, 8123)
    assert seen["AIRFLOW__CORE__EXECUTOR"] == "tasks.embedded.executor.LocalExecutor"
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD" not in seen
    assert seen["AIRFLOW_CONN_SMTP_DEFAULT"] == "smtp://mail.example.org"


def test_the_landing_zone_is_the_deployed_one_or_the_environment_s(
    checkout: Path, s: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(checkout, "params.yaml", PARAMS + "ingest: {landing: s3://bucket/nights}\n")
    deploy(checkout, s)
    assert environment.landing(s, checkout) == "s3://bucket/nights"
    monkeypatch.setenv("NIGHTLOOM_LANDING", "mine")
    assert environment.landing(settings(), checkout) == str(checkout / "mine")


def test_batches_to_be_predicted_have_a_zone_where_one_is_named(
    checkout: Path, s: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(checkout, s)
    assert environment.environment(s, checkout, 8123)["NIGHTLOOM_SCORE_LANDING"] == ""
    commit(checkout, "params.yaml", PARAMS + "score: {landing: data/to_score}\n")
    deploy(checkout, s)
    assert environment.environment(s, checkout, 8123)["NIGHTLOOM_SCORE_LANDING"] == str(checkout / "data/to_score")
    monkeypatch.setenv("NIGHTLOOM_SCORE_LANDING", "s3://bucket/to_score")
    assert environment.score_landing(settings(), checkout) == "s3://bucket/to_score"


def test_models_are_fitted_one_at_a_time_on_a_gpu_only(checkout: Path, s: Settings) -> None:
    deploy(checkout, s)
    assert environment.fitted_at_once(s) == environment.AT_ONCE
    commit(checkout, "params.yaml", PARAMS + "device: cuda\n")
    deploy(checkout, s)
    assert environment.fitted_at_once(s) == 1


def test_secrets_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "airflow"
    first = (environment.secret_values(home), environment.password(home))
    assert (environment.secret_values(home), environment.password(home)) == first
    assert len({*first[0].values(), first[1]}) == 4
    assert len(first[1]) >= 20
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for name in ("secrets.json", "passwords.json"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    other = environment.secret_values(tmp_path / "other")
    assert not set(other.values()) & set(first[0].values())


def test_viewers_may_look_and_have_logins_of_their_own(checkout: Path, s: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(checkout, s)
    assert environment.environment(s, checkout, 8123)["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "nightloom:admin"
    monkeypatch.setenv("NIGHTLOOM_VIEWERS", " ada, bob@ward.org")
    users = environment.environment(s, checkout, 8123)["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    assert users == "nightloom:admin,ada:viewer,bob@ward.org:viewer"
    home = s.home / "airflow"
    passwords = {user: environment.password(home, user) for user in (environment.USER, "ada", "bob@ward.org")}
    assert len(set(passwords.values())) == 3
    assert environment.password(home) == passwords[environment.USER]
    assert stat.S_IMODE((home / "passwords.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["nightloom", "ada:admin", "ada bob:op", "a;b"])
def test_who_is_no_viewer_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("NIGHTLOOM_VIEWERS", name)
    with pytest.raises(WrongValue, match=r"NIGHTLOOM_VIEWERS must be names such as `ada, bob`, none of them nightloom; got "):
        environment.viewers()


def test_the_address_of_mlflow_for_people_is_that_of_its_port_or_of_its_server(
    checkout: Path, s: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(checkout, s)
    monkeypatch.setenv("NIGHTLOOM_MLFLOW_PORT", "5123")
    assert environment.environment(s, checkout, 8123)["NIGHTLOOM_MLFLOW_URL"] == "http://127.0.0.1:5123"
    monkeypatch.setenv("NIGHTLOOM_MLFLOW", "https://mlflow.ward.org/")
    assert environment.environment(settings(), checkout, 8123)["NIGHTLOOM_MLFLOW_URL"] == "https://mlflow.ward.org"
