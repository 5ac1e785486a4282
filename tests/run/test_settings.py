"""Settings of this process: paths become absolute, logins stay out of what is shown."""

import base64
import re
from pathlib import Path

import pytest

from tasks.errors import WrongValue
from tasks.run import settings as door
from tasks.run.settings import git_login, settings


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "CENTRAL", "REMOTE", "CACHE", "MLFLOW", "LANDING", "REVISIONS", "GIT_USER", "GIT_PASSWORD"):
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


def test_every_setting_that_is_read_is_in_the_table() -> None:
    read = set(re.findall(r'"(NIGHTLOOM_\w+)"', Path(door.__file__).read_text()))
    assert read
    assert all(re.search(rf"\b{name}\b", door.__doc__ or "") for name in read)
