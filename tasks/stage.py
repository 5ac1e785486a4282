"""The door of every stage: `enter(function, *arguments)` checks the environment, then runs the stage.

A stage's outs are a function of its declared deps and params, so a stage refuses to run with other packages than those
of requirements.lock. Known mistakes end as one line on stderr and exit code 2; a bug keeps its traceback.
"""

import ctypes
import errno
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from packaging.requirements import InvalidRequirement, Requirement

from tasks.errors import EnvironmentDiffers, TasksError

LOCK = Path("requirements.lock")
MISTAKE = 2  # exit codes: trying again would not help
AGAIN = 75  # it may, once there is room (sysexits.h: a temporary failure)
NO_MEMORY = re.compile(r"out of memory|can't allocate memory|bad_alloc|can't start new thread|Cannot allocate memory", re.I)
# What a stage's memory follows.
KNOBS = {
    "finetune": "train.batch or split.window_batches",
    "train": "train.batch",
    "pretrain": "pretrain.batch or ingest.partition_rows",
    "extract": "ingest.partition_rows or ingest.partition_mb",
    "profile": "ingest.partition_rows or ingest.partition_mb",
    "evaluate": "evaluate.bootstrap",
    "damage": "robustness.samples",
    "robustness": "robustness.samples",
    "explain": "evaluate.examples",
}
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def enter(function: Callable[..., None], *arguments: object) -> NoReturn:
    """Run a stage in this process: exit code 0, 2 with the mistake in one line, or 75 when the disk is full.

    Args:
        function: the stage's work; its outs are its only effect.
        arguments: what it takes, e.g. the modality's name.
    """
    die_with_parent()
    leave(_ended(function, arguments))


def leave(code: int) -> NoReturn:
    """End this process with what it printed, and without taking apart what it imported.

    That costs up to a second, and now and then the process: Arrow's threads that are just starting when Python ends are
    "terminate called without an active exception" and signal 6, after all work was done.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _ended(function: Callable[..., None], arguments: Iterable[object]) -> int:
    try:
        check_environment()
        function(*arguments)
    except TasksError as mistake:
        return _told(str(mistake), MISTAKE)
    except SystemExit as told:  # a process of several was killed (tasks.parallel)
        return told.code if isinstance(told.code, int) else 1
    except Exception as error:
        if full := _no_room(error):
            return _told(full, AGAIN)
        if _no_memory(error):
            return _told(_too_much(function.__name__), MISTAKE)
        traceback.print_exc()
        return 1
    return 0


def _told(text: str, code: int) -> int:
    print(f"nightloom: {text}", file=sys.stderr, flush=True)
    return code


def _no_room(error: BaseException) -> str:
    """What to say of a full disk; empty when the error is another one."""
    if not isinstance(error, OSError) or error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return ""
    place = error.filename or Path.cwd()
    return f"no room left on the disk of {place}: make room; it is tried again"


def _no_memory(error: BaseException) -> bool:
    """Python's, numpy's and Arrow's errors are MemoryErrors; torch, the C++ library and threads say it in words."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(NO_MEMORY.search(str(error))))


def _too_much(stage: str) -> str:
    knob = KNOBS.get(stage, "ingest.partition_rows and threads")
    return f"{stage} ran out of memory: lower {knob} in params.yaml, or run it where there is more memory"


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, so that no killed run leaves work behind."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the request was in force
            os.kill(os.getpid(), signal.SIGKILL)


def check_environment(lock: Path = LOCK) -> None:
    """Compare the installed packages with the lock file.

    Raises:
        EnvironmentDiffers: there is no lock file, a line of it is no requirement, or a package is absent or has another
            version than the lock says. A local build suffix (`2.13.0+cpu`) is no difference: it names the hardware, not
            the release.
    """
    if not lock.is_file():
        raise EnvironmentDiffers(f"{lock} is not here: run stages from the repository's root")
    wrong = list(differences(lock.read_text().splitlines()))
    if wrong:
        shown = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise EnvironmentDiffers(f"the environment is not that of {lock}: {shown}. Run `make install`.")


def differences(lines: Iterable[str]) -> Iterable[str]:
    """Yield one text per package whose installed version is not the locked one."""
    for line in lines:
        text = re.sub(r"\s*(#.*)?$", "", line)
        if not text:
            continue
        wanted = _requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            installed = version(wanted.name).split("+")[0]
        except PackageNotFoundError:
            yield f"{wanted.name} is not installed (lock: {wanted.specifier})"
            continue
        if installed not in wanted.specifier:
            yield f"{wanted.name} is {installed} (lock: {wanted.specifier})"


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise EnvironmentDiffers(
            f"{text!r} in {LOCK} is no requirement such as numpy==2.3.5: `git checkout -- {LOCK}`"
        ) from error


def count(**work: int) -> None:
    """Say what was done, e.g. `count(decoded=300)`: the runner adds these lines up, `make reproduce` compares them."""
    print("work " + " ".join(f"{name}={number}" for name, number in sorted(work.items())), flush=True)
