"""git as a function. Effects on central are create-only or compare-and-set pushes."""

import os
import subprocess
from pathlib import Path

from tasks.errors import TasksError
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


class GitFailed(TasksError):
    """A git command that ended with an error; the message holds what git said."""


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
        GitFailed: git's exit code was not 0.
        Denied: central refuses the login.
    """
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
    if done.returncode != 0:
        said = done.stderr.strip()
        _check_login(said)
        raise GitFailed(f"git {' '.join(args[:3])}: {said or f'exit code {done.returncode}'}")
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


def resolve(clone: Path, name: str) -> str | None:
    """The commit that a branch, tag or hash of central names, asked in a clone of it; None when there is none."""
    for candidate in (f"refs/remotes/origin/{name}", f"refs/tags/{name}", name):
        try:
            return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}", cwd=clone)
        except GitFailed:
            continue
    return None


def create_ref(cwd: Path, central: str, commit: str, ref: str) -> bool:
    """Push a commit to a ref that must not exist yet; False when it does."""
    return compare_and_set(cwd, central, ref, "", commit)


def compare_and_set(cwd: Path, central: str, ref: str, old: str, new: str) -> bool:
    """Move a ref of central from `old` ("" = absent) to `new`; False when it is elsewhere by now."""
    try:
        git("push", "--quiet", f"--force-with-lease={ref}:{old}", central, f"{new}:{ref}", cwd=cwd)
    except GitFailed as failed:
        if "stale info" in str(failed) or "already exists" in str(failed) or "failed to update ref" in str(failed):
            return False
        raise
    return True
