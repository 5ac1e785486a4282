"""Processes that cannot outlive us: the owner's side of `guard`."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from tasks.errors import TasksError

GRACE_S = 6.0
START_ANEW = 70  # the exit code of a process that asks for a new start (sysexits.h: an internal error)
RESTARTS = 50  # of one process, so that one that is killed over and over does not look well


class Ended(TasksError):
    """A process that should be running has ended; the message holds its last lines."""


class Group:
    """Named processes below one guard; leaving the `with` block ends them all.

    Args:
        environment: what each of them sees.
        cwd: where they, and the guard, run; `tasks` must be importable from there.
        grace_s: seconds that they have for an orderly end.
    """

    def __init__(self, environment: Mapping[str, str], cwd: Path, grace_s: float = GRACE_S) -> None:
        """Start the guard, in a session of its own so that Ctrl-C reaches only us."""
        self._grace_s = grace_s
        self._logs: dict[str, Path] = {}
        self._codes: dict[str, int] = {}
        self._again: dict[str, list[str]] = {}
        self.restarts: Counter[str] = Counter()
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "tasks.embedded.guard", str(grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
            env=dict(environment),
            cwd=cwd,
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def guard(self) -> int:
        """The process below which all others are."""
        return self._guard.pid

    def _listen(self) -> None:
        for line in self._guard.stdout or ():
            told = json.loads(line)
            self._codes[told["name"]] = told["code"]

    def start(self, name: str, command: list[str], log: Path, again: bool = False) -> None:
        """Start a process; its output is added to `log`.

        Args:
            name: to tell it from others.
            command: its words.
            log: a file.
            again: whether `check` starts it anew when it was killed.

        Raises:
            Ended: the guard is gone.
        """
        self._logs[name] = log
        if again:
            self._again[name] = command
        self._codes.pop(name, None)
        try:
            self._write(json.dumps({"name": name, "command": command, "log": str(log)}) + "\n")
        except BrokenPipeError as error:
            raise Ended(f"{name} cannot start: the guard process {self._guard.pid} was killed; start again") from error

    def _write(self, line: str) -> None:
        if self._guard.stdin is not None:
            self._guard.stdin.write(line)
            self._guard.stdin.flush()

    def code(self, name: str) -> int | None:
        """The exit code of a process; None while it runs."""
        return self._codes.get(name)

    def check(self) -> None:
        """See that all are running; start those anew that were killed and are to live on.

        Raises:
            Ended: one is not running, and it, or the guard, should be.
        """
        if self._guard.poll() is not None:
            raise Ended(f"the guard process {self._guard.pid} was killed; start again")
        for name, code in dict(self._codes).items():
            if (code < 0 or code == START_ANEW) and name in self._again and self.restarts[name] < RESTARTS:
                self.restarts[name] += 1
                self.start(name, self._again[name], self._logs[name])
            elif code != 0:
                raise Ended(f"{name} ended with exit code {code}; the end of {self._logs[name]}:\n{tail(self._logs[name])}")

    def stop(self) -> None:
        """End all of them, and see that none is left."""
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            with suppress(BrokenPipeError):  # the guard is gone; what it left is found below
                self._guard.stdin.close()
        try:
            self._guard.wait(timeout=self._grace_s + 10)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        end_session(self._guard.pid)
        self._reader.join(timeout=1)
        if self._guard.stdout is not None:
            self._guard.stdout.close()

    def __enter__(self) -> "Group":
        """Nothing more to do: the guard runs."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End all processes, whatever happened."""
        self.stop()


def end_session(session: int) -> None:
    """Kill what is left of a session: nothing, unless its guard was killed."""
    left = [process for process in psutil.process_iter() if _session(process.pid) == session]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log; empty when there is none."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
