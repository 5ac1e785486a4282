"""Secrets stay in the memory of processes that nobody else may look into.

What a process was started with can be read in /proc/<pid>/environ by its user, and so by the stages that run beside it.
So a child is started without secrets, is told them on its standard input, and is *concealed* first: Linux then gives its
environment, memory and open files to root alone, and to none of the processes of its own user.
"""

import ctypes
import os
import re
import sys
from collections.abc import Mapping

PR_SET_DUMPABLE = 4  # linux/prctl.h
_WORDS = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|KEY|CREDENTIAL|WEBHOOK", re.IGNORECASE)
_LOGIN = re.compile(r"://[^/\s]*@")  # in a URL


def conceal() -> None:
    """Hide this process, and those it forks, from other processes of its user; what it *executes* is seen again.

    Raises:
        OSError: Linux refuses.
    """
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) failed")


def is_secret(name: str, value: str) -> bool:
    """Whether a variable is a secret by its name, or holds a URL with a login."""
    return name.startswith(("AWS_", "MLFLOW_TRACKING_")) or bool(_WORDS.search(name) or _LOGIN.search(value))


def is_airflow(name: str) -> bool:
    """Whether a variable is Airflow's own, which nothing that a run starts needs."""
    return name.startswith(("AIRFLOW_", "_AIRFLOW_"))


def divide(environment: Mapping[str, str] | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """What a child may be started with, and what it is told once it is concealed.

    Args:
        environment: this process's own unless given. Airflow's variables are in neither part.
    """
    given = {n: v for n, v in (os.environ if environment is None else environment).items() if not is_airflow(n)}
    told = {name: value for name, value in given.items() if is_secret(name, value)}
    return {name: value for name, value in given.items() if name not in told}, told
