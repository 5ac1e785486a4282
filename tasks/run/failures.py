"""Why something ended badly, and so whether trying again can help: the one place that decides.

a known mistake     TasksError; a stage's exit code 2                    never tried again
infrastructure      a signal, a full disk, git, DVC's remote, a store    tried again, many times
a bug               any other traceback                                  tried again once
"""

import errno
import signal
import subprocess
import sys

from tasks.errors import NoData, TasksError
from tasks.run.child import BUG, MISTAKE
from tasks.run.git import GitFailed
from tasks.stage import AGAIN

INFRASTRUCTURE = 1  # the exit code of `python -m tasks.run`; what a signal ends has another one, and is tried again too
SIGNALS = 128  # a shell's exit code is this + the number of the signal that ended its command
# What talks to things that may be there again next time: their errors, and OSErrors that no bug of ours makes.
FAR = frozenset(
    ["dvc", "dvc_data", "dvc_objects", "scmrepo", "git", "botocore", "boto3", "aiobotocore", "aiohttp", "fsspec"]
) | {"s3fs", "urllib3", "requests", "mlflow", "sqlalchemy", "sqlite3", "psycopg2"}
OWN = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)


class StageFailed(Exception):
    """A stage's command ended with an error that is no known mistake."""


class Killed(Exception):
    """A command was killed, or had no room: trying again may help."""


def check(what: str, code: int) -> None:
    """Hold a command's exit code against what it means.

    Raises:
        TasksError: a known mistake; the command has told it.
        Killed: a signal ended it, or the disk was full.
        StageFailed: anything else but 0.
    """
    if code == MISTAKE:
        raise TasksError(f"{what} stopped; its last line above says why")
    if code == AGAIN:
        raise Killed(f"{what} had no room to work; its last line above says where")
    number = -code if code < 0 else code - SIGNALS
    if number > 0:
        raise Killed(f"{what} was killed by {_signal(number)}")
    if code != 0:
        raise StageFailed(f"{what} ended with exit code {code}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def exit_code(error: BaseException) -> int:
    """How `python -m tasks.run` ends after this error."""
    if isinstance(error, GitFailed | NoData):
        return INFRASTRUCTURE  # what is far away may answer next time
    if isinstance(error, TasksError):
        return MISTAKE
    return INFRASTRUCTURE if _is_far(error) else BUG


def _is_far(error: BaseException) -> bool:
    """Whether it came from something that may be there again next time."""
    if isinstance(error, subprocess.CalledProcessError):
        return error.returncode < 0
    if isinstance(error, Killed) or (isinstance(error, OSError) and not isinstance(error, OWN)):
        return True
    return type(error).__module__.partition(".")[0] in FAR


def told(error: BaseException) -> str:
    """The error in one line, for whoever has to act."""
    if isinstance(error, TasksError | Killed | StageFailed):
        return str(error)
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}:
            return f"no room left on the disk{f' for {cause.filename}' if cause.filename else ''}: make room; it is tried again"
    return " ".join(": ".join(f"{type(cause).__name__}: {cause}" for cause in _chain(error)).split())


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error and what it came from, nearest first."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def say(error: BaseException) -> int:
    """Print what happened as this process's last line and give its exit code; a bug keeps its traceback."""
    code = exit_code(error)
    if code == BUG:
        sys.excepthook(type(error), error, error.__traceback__)
    print(f"nightloom: {told(error)}", flush=True)
    return code
