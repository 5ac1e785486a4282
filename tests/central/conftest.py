"""A served central: the real server process on loopback, a checkout, and the two logins."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.run.git import git

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORDS = {"reader": "canary-reader-0123456789", "writer": "canary-writer-0123456789"}

# What central's hook refuses, however it is asked.
FORGETTING = pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--force", "HEAD:refs/tags/v1"], "a tag is written once: refs/tags/v1"),
        (["--delete", "refs/tags/v1"], "a tag is written once: refs/tags/v1"),
        (["--force", "HEAD:refs/heads/nightly"], "nightly only moves on"),
        (["--delete", "refs/heads/nightly"], "nightly cannot be deleted"),
    ],
)


@dataclass(frozen=True)
class Served:
    """Where the server is, its repository on disk, and a clone's checkout with one commit."""

    url: str
    repository: Path
    checkout: Path
    log: Path

    @property
    def central(self) -> str:
        return f"{self.url}/central.git"

    def login(self, patch: pytest.MonkeyPatch, user: str, password: str | None = None) -> None:
        """Be this user from now on."""
        login(patch, self.central, user, password)


def login(patch: pytest.MonkeyPatch, central: str, user: str, password: str | None = None) -> None:
    """Be this user at a served central from now on."""
    patch.setenv("NIGHTLOOM_CENTRAL", central)
    patch.setenv("NIGHTLOOM_GIT_USER", user)
    patch.setenv("NIGHTLOOM_GIT_PASSWORD", password or PASSWORDS[user])


def environment() -> dict[str, str]:
    names = {f"NIGHTLOOM_{name.upper()}_PASSWORD": password for name, password in PASSWORDS.items()}
    return {**os.environ, **names, "PYTHONUNBUFFERED": "1"}


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve <folder>/central.git on a free port of loopback; the server's log is <folder>/server.log."""
    with (folder / "server.log").open("w", buffering=1) as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.central", "--folder", str(folder), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
            env=environment(),
            cwd=ROOT,
        )
        assert process.stdout is not None
        try:
            found = re.match(r"central is (http://127\.0\.0\.1:\d+)/central\.git", process.stdout.readline())
            assert found
            reader = threading.Thread(target=lambda: [out.write(line) for line in process.stdout or ()], daemon=True)
            reader.start()
            yield found[1]
        finally:
            process.terminate()
            assert process.wait(timeout=10) == 0
            reader.join()
            process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("central")
    with serving(folder) as url:
        yield url, folder


@pytest.fixture
def served(server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    url, repository = server[0], server[1] / "central.git"
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for ref in git("for-each-ref", "--format=%(refname)", cwd=repository).split():
        git("update-ref", "-d", ref, cwd=repository)  # each test has it empty
    checkout = tmp_path / "checkout"
    git("init", "--quiet", "--initial-branch=main", str(checkout))
    git("commit", "--quiet", "--allow-empty", "--message=start", cwd=checkout)
    return Served(url, repository, checkout, server[1] / "server.log")
