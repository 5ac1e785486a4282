"""Run a stage in this folder and cut its process off, again and again: `python -m tests.cut_off train mean 5 0`.

Arguments: stage, its argument, how often, seed of the moments. Each try is a process of its own, ended by SIGKILL some
checkpoints after its start; the last one is left alone. Ends with a line `cut off 5 times`.
"""

import os
import random
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

FOLDER = Path(".memo/checkpoint")


def main(stage: str, argument: str, times: int, seed: int) -> None:
    """Do it."""
    function = getattr(import_module(f"tasks.{stage}.__main__"), stage)
    moments, cut = random.Random(seed), 0
    for _ in range(times):
        child = started(function, argument)
        cut += ended(child, moments.randint(1, 6), moments.uniform(0, 0.03))
    child = started(function, argument)
    _, status = os.waitpid(child, 0)
    print(f"cut off {cut} times", flush=True)
    sys.exit(os.waitstatus_to_exitcode(status))


def started(function, argument: str) -> int:
    child = os.fork()
    if child:
        return child
    try:
        function(argument)
        sys.stdout.flush()
        os._exit(0)
    finally:
        os._exit(1)


def ended(child: int, saves: int, later_s: float) -> bool:
    """Kill a child that long after so many new checkpoints; False when it was done before."""
    seen, last = 0, marks()
    while seen < saves:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        now = marks()
        seen, last = seen + (now != last), now
        time.sleep(0.0005)
    time.sleep(later_s)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def marks() -> list[int]:
    return sorted(entry.stat().st_ino for entry in os.scandir(FOLDER) if entry.name.endswith(".safetensors"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
