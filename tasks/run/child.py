"""A command that cannot outlive whoever asked for it.

The child leads a session of its own and holds the read end of a pipe as its standard input: the first line is the
request, the end of the file is the death of the asker, however it died, and then the child kills its whole group. What
a killed child started dies through `die_with_parent` (tasks/stage.py) or with the group.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.run.redact import redacted, without_secrets
from tasks.run.secret import conceal, divide
from tasks.stage import MISTAKE as MISTAKE

# How a child ends that did not do what it was asked; a signal or any other code is infrastructure, and is tried again.
BUG = 3  # a traceback that is nobody's fault out there: tried again once, in case it was

_KEPT = ("PATH", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "HF_ENDPOINT")


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit code, answer (None unless the code is 0), what its stages counted, its last line."""

    code: int
    answer: Any
    work: Mapping[str, int]
    last: str


class Child:
    """A running `python -m module` with its request on standard input."""

    def __init__(self, module: str, request: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
        """Start the child. Secrets of its environment go with the request, Airflow's own variables nowhere."""
        plain, told = divide(environment)
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115  closed by wait; it has no name, so none is left behind
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
            pass_fds=[self._answer.fileno()],
            env=plain,
        )
        line = json.dumps({**request, "answer": self._answer.fileno(), "secrets": told}) + "\n"
        try:
            self._stdin().write(line)
            self._stdin().flush()  # and left open: its end is the sign of our death
        except BrokenPipeError:
            pass  # the child died at once; `wait` tells its exit code

    def _stdin(self) -> Any:
        return self._process.stdin

    def wait(self) -> "Ended":
        """Print the child's lines as they come, until it ends."""
        work: dict[str, int] = {}
        last = ""
        for raw in self._process.stdout or ():
            line = redacted(raw.rstrip("\n"))  # one place for all that libraries say about addresses and keys
            last = line.strip() or last
            print(line, flush=True)
            for name, number in _counted(line):
                work[name] = work.get(name, 0) + number
        code = self._process.wait()
        self.kill()  # whatever the child left in its group
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._answer.seek(0)
        content = self._answer.read().decode()
        self._answer.close()
        return Ended(code, without_secrets(json.loads(content)) if code == 0 and content else None, work, last)

    def kill(self) -> None:
        """Kill the child and all it started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _counted(line: str) -> list[tuple[str, int]]:
    """The pairs of a line such as `work decoded=300 steps=12` (tasks/stage.py: count)."""
    if not re.fullmatch(r"work( [a-z_]+=\d+)+\s*", line):
        return []
    return [(name, int(number)) for name, number in (pair.split("=") for pair in line.split()[1:])]


def request() -> dict[str, Any]:
    """In the child: hide from other processes, read the request and the secrets, and from then on die with the asker."""
    conceal()
    body: dict[str, Any] = json.loads(sys.stdin.readline())
    os.environ.update(body.pop("secrets", {}))
    threading.Thread(target=_die_with_asker, daemon=True).start()
    return body


def _die_with_asker() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def answer(to: int, value: object) -> None:
    """In the child: leave the answer for the asker, in the file it has opened."""
    with os.fdopen(to, "w") as file:
        file.write(json.dumps(value))


def scrubbed_environment(home: Path) -> dict[str, str]:
    """What a stage may know of its surroundings: no secret, no setting, one thread per library unless its params say more.

    Args:
        home: the stages' HOME, made for the owner alone: libraries keep font lists and the like there, nobody else's.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kept["HOME"] = str(home)
    venv = str(Path(sys.executable).parent)
    kept["PATH"] = os.pathsep.join([venv, *(p for p in kept.get("PATH", os.defpath).split(os.pathsep) if p != venv)])
    return {
        **kept,
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "DVC_NO_ANALYTICS": "1",
        "HF_HOME": os.environ.get("HF_HOME", str(Path.home() / ".cache/huggingface")),  # where models lie already
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),  # 0: models may be fetched (tasks/pretrain/fetch.py)
        "GX_ANALYTICS_ENABLED": "false",
        "MPLBACKEND": "agg",
    }


@contextmanager
def scrubbed(home: Path) -> Iterator[None]:
    """Give this process, and so what it starts, the scrubbed environment for a while."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(scrubbed_environment(home))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
