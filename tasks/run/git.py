"""git as a function. Effects on central are create-only or compare-and-set pushes."""

import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tasks.errors import TasksError
from tasks.run.redact import redacted
from tasks.run.secret import divide
from tasks.run.settings import git_login

IDENTITY = {
    "GIT_AUTHOR_NAME": "Nightloom",
    "GIT_AUTHOR_EMAIL": "nightloom@localhost",
    "GIT_COMMITTER_NAME": "Nightloom",
    "GIT_COMMITTER_EMAIL": "nightloom@localhost",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
    "LANGUAGE": "",
}


LOCKED = re.compile(r"Unable to create '([^'\n]+\.lock)': File exists")
LOCK_S = 30  # git holds a lock for milliseconds; an older one is a killed git's


class GitFailed(TasksError):
    """A git command that ended with an error; the message holds what git said."""


class GitKilled(GitFailed):
    """A signal ended a git command: nothing is known of what it was asked."""


class Denied(TasksError):
    """Central does not know this login, or does not let it push."""


def git(*args: str, cwd: Path | None = None, stdin: str | None = None, date: str | None = None) -> str:
    """Run git and return what it printed.

    Args:
        args: the command's words.
        cwd: the repository.
        stdin: what the command reads.
        date: author and committer date, so that a commit made twice is one commit.

    Raises:
        GitKilled: a signal ended git.
        GitFailed: git's exit code was not 0.
        Denied: central refuses the login.
    """
    try:
        return _git(*args, cwd=cwd, stdin=stdin, date=date)
    except GitKilled:
        raise
    except GitFailed as failed:
        if not _unlocked(str(failed)):
            raise
    return _git(*args, cwd=cwd, stdin=stdin, date=date)


def _git(*args: str, cwd: Path | None, stdin: str | None, date: str | None) -> str:
    # A hook's or a caller's repository is not ours, and neither are a person's hooks. Of all secrets git gets its own.
    plain, _ = divide()
    kept = {n: v for n, v in plain.items() if not n.startswith("GIT_") or n.startswith(("GIT_SSH", "GIT_ASKPASS"))}
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    environment = {**kept, **proxies, **IDENTITY, **git_login()}
    if date is not None:
        environment |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    done = subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", *args],
        cwd=cwd,
        input=stdin,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    words = redacted(f"git {' '.join(args[:3])}")
    if done.returncode < 0:
        raise GitKilled(f"{words}: killed by signal {-done.returncode}")
    if done.returncode != 0:
        said = done.stderr.strip()
        _check_login(said)
        raise GitFailed(f"{words}: {redacted(said) or f'exit code {done.returncode}'}")
    return done.stdout.strip()


def _check_login(said: str) -> None:
    """Put git's words for a refused login into ours; git itself asks for a user when a server says 401."""
    if "returned error: 403" in said:
        raise Denied(
            "central does not let this login push: `open`, `close` and `promote` need NIGHTLOOM_GIT_USER=writer, which only"
            " the workers of the queue `control` have"
        )
    if "could not read Username" in said or "Authentication failed" in said or "returned error: 401" in said:
        raise Denied("central refuses the login: set NIGHTLOOM_GIT_USER and NIGHTLOOM_GIT_PASSWORD to what it was started with")


def _unlocked(said: str) -> bool:
    """Remove the lock files that a killed git left in a repository of this machine; False when there was none."""
    removed = False
    for path in map(Path, LOCKED.findall(said)):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > LOCK_S:
                path.unlink()
                removed = True
    return removed


def resolve(clone: Path, name: str) -> str | None:
    """The commit that a branch, tag or hash of central names, asked in a clone of it; None when there is none."""
    for candidate in (f"refs/remotes/origin/{name}", f"refs/tags/{name}", name):
        try:
            return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}", cwd=clone)
        except GitKilled:
            raise  # it said nothing about the name
        except GitFailed:
            continue
    return None


def create_ref(cwd: Path, central: str, commit: str, ref: str) -> bool:
    """Push a commit to a ref that must not exist yet; False when it does, and is another's."""
    return compare_and_set(cwd, central, ref, "", commit)


def compare_and_set(cwd: Path, central: str, ref: str, old: str, new: str) -> bool:
    """Move a ref of central from `old` ("" = absent) to `new`; False when it is elsewhere by now.

    Raises:
        GitFailed: the push failed, and the ref is still where it was.
    """
    try:
        git("push", "--quiet", f"--force-with-lease={ref}:{old}", central, f"{new}:{ref}", cwd=cwd)
    except GitFailed:  # what git says differs between versions, and an answer may be lost; what central holds counts
        there = git("ls-remote", central, ref, cwd=cwd).partition("\t")[0]
        if there == old:
            raise
        return there == new
    return True
