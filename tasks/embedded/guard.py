"""Starts processes, and ends them and all that they started when its standard input ends, however its owner died.

Each line of standard input is a request: `{"name": …, "command": […], "log": path}`. Each line of standard output tells of
a process that ended: `{"name": …, "code": …}`. Airflow gives its tasks process groups of their own, so ending one group is not
enough: the guard asks Linux to make it the parent of every orphan below it, and ends its descendants until none is left.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from tasks.stage import PR_SET_PDEATHSIG

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
POLL_S = 0.2


def main(grace_s: float) -> None:
    """Serve requests until standard input ends or a signal says so; leave nothing behind.

    Args:
        grace_s: seconds for an orderly end, before SIGKILL.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    running: dict[int, str] = {}
    try:
        _serve(running)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        end_descendants(grace_s)


def _serve(running: dict[int, str]) -> None:
    waiting = b""
    while True:
        ready, _, _ = select.select([0], [], [], POLL_S)
        if ready:
            read = os.read(0, 65536)
            if not read:
                return
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                request = json.loads(line)
                running[_start(request)] = request["name"]
        for pid, code in reap():
            if pid in running:
                print(json.dumps({"name": running.pop(pid), "code": code}), flush=True)


def _start(request: dict[str, Any]) -> int:
    """Start a process with its output in its log; SIGTERM reaches it should even the guard be killed."""
    log = Path(request["log"])
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            request["command"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: _prctl(PR_SET_PDEATHSIG, signal.SIGTERM),  # safe: the guard has one thread
        )
    process.returncode = 0  # `reap` learns of its end, not this object
    return process.pid


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def reap() -> list[tuple[int, int]]:
    """The children that ended since the last call, orphans included: process id and exit code."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, os.waitstatus_to_exitcode(status)))


def end_descendants(grace_s: float) -> None:
    """End every process below this one: SIGTERM to the children, after `grace_s` seconds SIGKILL to whatever is left."""
    for child in psutil.Process().children():
        _send(child, signal.SIGTERM)
    patience = time.monotonic() + grace_s
    while left := psutil.Process().children(recursive=True):
        if time.monotonic() > patience:
            for process in left:
                _send(process, signal.SIGKILL)
        time.sleep(0.05)
        reap()


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    main(float(sys.argv[1]))
