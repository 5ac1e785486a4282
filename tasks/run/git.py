"""git as a function. Effects on central are create-only or compare-and-set pushes."""

import os
import subprocess
from pathlib import Path

from tasks.errors import TasksError

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


def git(*args: str, cwd: Path | None = None, stdin: str | None = None, date: str | None = None) -> str:
    """Run git and return what it printed.

    Args:
        args: the command's words.
        cwd: the repository.
        stdin: what the command reads.
        date: author and committer date, so that a commit made twice is one commit.

    Raises:
        GitFailed: git's exit code was not 0.
    """
    # A hook's or a caller's repository is not ours, and neither are a person's hooks.
    theirs = {name for name in os.environ if name.startswith("GIT_") and not name.startswith(("GIT_SSH", "GIT_ASKPASS"))}
    environment = {**{name: value for name, value in os.environ.items() if name not in theirs}, **IDENTITY}
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
        raise GitFailed(f"git {' '.join(args[:3])}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout.strip()


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
