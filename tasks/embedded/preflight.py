"""What must be true before anything starts; each refusal says what to do."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import Refused, WrongValue
from tasks.run.git import GitFailed, git
from tasks.stage import check_environment

PORTS = {"NIGHTLOOM_PORT": 8080, "NIGHTLOOM_MLFLOW_PORT": 5000}


def check_checkout(root: Path) -> str:
    """The commit that `root` is at.

    Raises:
        Refused: it is not the root of a git repository, or has no commit.
        EnvironmentDiffers: the installed packages are not those of requirements.lock.
    """
    try:
        top = git("rev-parse", "--show-toplevel", cwd=root)
    except GitFailed as error:
        raise Refused(
            f"{root} is not a git repository, and a run is a commit: clone Nightloom with git,"
            " or make this folder one: `git init && git add --all && git commit -m start`"
        ) from error
    if Path(top).resolve() != root.resolve():
        raise Refused(f"{root} is a folder of the git repository {top}: run from its root, or `git init` here")
    try:
        commit = git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", cwd=root)
    except GitFailed as error:
        raise Refused(f"{root} has no commit yet, and a run is a commit: `git add --all && git commit -m start`") from error
    check_environment(root / "requirements.lock")
    return commit


def left_out(root: Path) -> str:
    """What a run does not see because it is not committed, in one line; empty when there is nothing."""
    changed = git("diff", "--name-only", "-z", "HEAD", cwd=root)
    unknown = git("ls-files", "--others", "--exclude-standard", "-z", cwd=root)
    paths = sorted({path for path in (changed + "\0" + unknown).split("\0") if path})
    if not paths:
        return ""
    shown = ", ".join(paths[:4]) + (", ..." if len(paths) > 4 else "")
    return f"left out, because not committed: {len(paths)} changed file{'s' * (len(paths) > 1)} ({shown})"


@contextmanager
def only_one(home: Path, what: str) -> Iterator[None]:
    """Hold the home's lock: one `make run` or `make up` at a time.

    Raises:
        Refused: another one holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise Refused(f"{holder} is at work in {home}: wait until it ends, or stop it with Ctrl-C") from error
        file.truncate(0)
        file.write(f"`{what}` (process {os.getpid()})")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def listens(number: int) -> bool:
    """Whether something answers on this port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", number)) == 0


def port(variable: str) -> int:
    """The port that a variable names, free on loopback right now.

    Raises:
        WrongValue: it is no port number.
        Refused: something else listens there.
    """
    number = named_port(variable)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just given back is free
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            other = f"{variable}={number + 1} make run"
            raise Refused(f"port {number} on 127.0.0.1 is taken by another program; choose another one: `{other}`") from error
    return number


def named_port(variable: str) -> int:
    """The port that a variable names, free or not.

    Raises:
        WrongValue: it is no port number.
    """
    text = os.environ.get(variable, str(PORTS[variable]))
    if not text.isdigit() or not 1024 <= int(text) <= 65535:
        raise WrongValue(f"{variable} must be a port, 1024 to 65535, got {text!r}")
    return int(text)
