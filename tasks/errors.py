"""What can go wrong for a reason that a person can act on.

TasksError                 anything below: printed as one line, exit code 2, no traceback
├── ContractBroken         data or a file is not what its contract says
├── UnknownName            a name that does not exist; lists those that do
├── WrongValue             a parameter of the wrong type or out of range
├── NoData                 nothing to work on, and how to get it
├── EnvironmentDiffers     the installed packages are not those of requirements.lock
└── Refused                an effect that the rules of a run forbid (port taken, second run …)
    └── Overtaken          another run was faster: what was judged has to be judged again
"""

from collections.abc import Iterable


class TasksError(Exception):
    """A mistake that the message explains: what is wrong, where, what was expected, what to do."""


class ContractBroken(TasksError):
    """Data or a file is not what its contract says."""


class UnknownName(TasksError):
    """A name that does not exist. The message lists the known ones."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        """Name what kind of thing it is, the name that was given, and those that exist."""
        super().__init__(f"unknown {what} {name!r}; known: {', '.join(sorted(known))}")


class WrongValue(TasksError):
    """A parameter of the wrong type or out of its range."""


class NoData(TasksError):
    """There is nothing to work on; the message says how to get it."""


class EnvironmentDiffers(TasksError):
    """The installed packages are not those of requirements.lock."""


class Refused(TasksError):
    """An effect that the rules of a run forbid."""


class Overtaken(Refused):
    """Another run was faster; the message names it. What was judged has to be judged again."""
