"""Settings of this process: paths become absolute, logins stay out of what is shown."""

import base64
import re
from pathlib import Path

import pytest

from tasks.errors import UnknownName, WrongValue
from tasks.run import settings as door
from tasks.run.settings import EVENTS, approval_hours, channels, git_login, settings


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "CENTRAL", "REMOTE", "CACHE", "MLFLOW", "LANDING", "REVISIONS", "GIT_USER", "GIT_PASSWORD"):
        monkeypatch.delenv(f"NIGHTLOOM_{name}", raising=False)
    for name in ("SLACK_WEBHOOK", "WEBHOOK", "MAIL", "NOTICES", "APPROVAL_HOURS"):
        monkeypatch.delenv(f"NIGHTLOOM_{name}", raising=False)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("central.git", "{here}/central.git"),
        ("../elsewhere/central.git", "{here}/../elsewhere/central.git"),
        ("/srv/central.git", "/srv/central.git"),
        ("https://git.example.org/central.git", "https://git.example.org/central.git"),
        ("ssh://git@example.org/central.git", "ssh://git@example.org/central.git"),
        ("git@example.org:central.git", "git@example.org:central.git"),
    ],
)
def test_a_relative_path_becomes_absolute_and_a_url_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, meant: str
) -> None:
    monkeypatch.setenv("NIGHTLOOM_CENTRAL", given)
    monkeypatch.setenv("NIGHTLOOM_REMOTE", given)
    assert settings().central == settings().remote == meant.format(here=tmp_path)


def test_what_is_empty_says_nothing_and_a_home_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = settings()
    for name in ("HOME", "CENTRAL", "REMOTE", "CACHE"):
        monkeypatch.setenv(f"NIGHTLOOM_{name}", "")
    assert settings() == wanted
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    for name in ("HOME", "REMOTE"):
        monkeypatch.setenv(f"NIGHTLOOM_{name}", f"~/{name}")
    assert (settings().home, settings().remote) == (tmp_path / "ada/HOME", str(tmp_path / "ada/REMOTE"))


def test_a_login_in_the_address_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLOOM_CENTRAL", "http://writer:canary@git/central.git")
    with pytest.raises(WrongValue, match="put it into NIGHTLOOM_GIT_USER and NIGHTLOOM_GIT_PASSWORD") as told:
        settings()
    assert "canary" not in str(told.value)


@pytest.mark.parametrize(
    ("given", "meant"), [(None, ("*",)), ("main", ("main",)), ("main, release-*", ("main", "release-*")), ("a b", ("a", "b"))]
)
def test_revisions_are_globs(monkeypatch: pytest.MonkeyPatch, given: str | None, meant: tuple[str, ...]) -> None:
    if given:
        monkeypatch.setenv("NIGHTLOOM_REVISIONS", given)
    assert settings().revisions == meant


def test_the_login_goes_to_central_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_login() == {}
    monkeypatch.setenv("NIGHTLOOM_GIT_USER", "reader")
    monkeypatch.setenv("NIGHTLOOM_GIT_PASSWORD", "word")
    assert git_login() == {}  # central is a folder
    monkeypatch.setenv("NIGHTLOOM_CENTRAL", "http://git:8085/central.git")
    told = git_login()
    options = {told[f"GIT_CONFIG_KEY_{n}"]: told[f"GIT_CONFIG_VALUE_{n}"] for n in range(int(told["GIT_CONFIG_COUNT"]))}
    header = options["http.http://git:8085/central.git.extraHeader"]
    assert base64.b64decode(header.removeprefix("Authorization: Basic ")) == b"reader:word"
    assert options["http.http://git:8085/central.git.followRedirects"] == "false"


def test_an_endpoint_is_that_of_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().s3_endpoint is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3:8333")
    assert settings().s3_endpoint == "http://s3:8333"


def test_who_is_told_and_of_what(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = channels()
    assert (nobody.slack, nobody.webhook, nobody.mail, nobody.events) == ("", "", (), EVENTS)
    monkeypatch.setenv("NIGHTLOOM_SLACK_WEBHOOK", "https://example.org/canary")
    monkeypatch.setenv("NIGHTLOOM_MAIL", "ada@example.org, bob@example.org")
    monkeypatch.setenv("NIGHTLOOM_NOTICES", "failure,approval")
    told = channels()
    assert told.mail == ("ada@example.org", "bob@example.org")
    assert told.events == ("failure", "approval")
    assert "canary" not in repr(told)
    monkeypatch.setenv("NIGHTLOOM_NOTICES", "failure, promotions")
    with pytest.raises(UnknownName, match="unknown notice in NIGHTLOOM_NOTICES: 'promotions'; known: approval, drift"):
        channels()
    monkeypatch.setenv("NIGHTLOOM_WEBHOOK", "canary.example.org")
    with pytest.raises(WrongValue, match="NIGHTLOOM_WEBHOOK must be an address") as wrong:
        channels()
    assert "canary" not in str(wrong.value)


@pytest.mark.parametrize(("given", "hours"), [(None, 72.0), ("0.5", 0.5), ("8784", 8784.0)])
def test_how_long_a_run_waits_for_a_person(monkeypatch: pytest.MonkeyPatch, given: str | None, hours: float) -> None:
    if given:
        monkeypatch.setenv("NIGHTLOOM_APPROVAL_HOURS", given)
    assert approval_hours() == hours


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "three days", ""])
def test_a_wait_that_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("NIGHTLOOM_APPROVAL_HOURS", given)
    with pytest.raises(WrongValue, match="NIGHTLOOM_APPROVAL_HOURS must be hours, above 0"):
        approval_hours()


def test_every_setting_that_is_read_is_in_the_table() -> None:
    read = set(re.findall(r'"(NIGHTLOOM_\w+)"', Path(door.__file__).read_text()))
    assert read
    assert all(re.search(rf"\b{name}\b", door.__doc__ or "") for name in read)
