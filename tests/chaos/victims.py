"""The processes of a night by kind, and which of them dies when, as a seed says."""

import random
import re
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

# The first pattern that a process's command line matches is its kind.
PATTERNS = {
    "git": r"^(\S*/)?git(-\S+)? ",
    "step": r"-m tasks\.run$",
    "stage": r"-m tasks\.(?!run|embedded)\w+|-m dvc ",
    "worker": r"^airflow worker -- LocalExecutor|celery",
    "task": r"^airflow worker -- |task_runner",  # below a worker
    "scheduler": r"airflow scheduler",
    "api-server": r"airflow api[-_]server|uvicorn",
    "dag-processor": r"airflow dag[-_]processor",
    "triggerer": r"airflow triggerer",
}
# How often each is chosen: what does the work dies more often than what looks on.
KINDS = ("git", "step", "stage", "worker", "task", "scheduler", "api-server") * 2 + ("dag-processor", "triggerer")
LEAST_S = 5.0  # between two kills
PATIENCE_S = 4.0  # for a process of the kind to turn up; many live for a blink


def kind_of(command: Sequence[str]) -> str | None:
    """The kind of a process, by its command line; None for the guard and what we do not know."""
    line = " ".join(command)
    return next((kind for kind, pattern in PATTERNS.items() if re.search(pattern, line)), None)


def below(guard: int) -> list[tuple[str, psutil.Process]]:
    """All processes below a group's guard, with their kinds."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(guard).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                kind = kind_of(process.cmdline())
                if kind:
                    found.append((kind, process))
    return found


@dataclass(frozen=True)
class Kill:
    """One death: when (seconds since the epoch), of what, and its command line."""

    at_s: float
    kind: str
    line: str


@dataclass
class Killer:
    """Kills processes below a guard, one by one, until its number is reached.

    Attributes:
        guard: whose descendants may die.
        kinds: which of them.
        count: how many kills.
        more_s: on average, on top of the 5 s between two of them.
        rng: seeded: the kinds, the moments and the choice among several come from it alone.
    """

    guard: int
    kinds: Sequence[str]
    count: int
    more_s: float
    rng: random.Random
    done: list[Kill] = field(default_factory=list)
    _next_s: float = 0.0
    _wanted: str = ""
    _pick: float = 0.0

    def tick(self) -> None:
        """Kill when it is time; call it often."""
        now = time.monotonic()
        if len(self.done) >= self.count:
            return
        if not self._wanted:
            self._next_s = now + LEAST_S + self.rng.expovariate(1 / self.more_s)
            self._wanted, self._pick = self.rng.choice(self.kinds), self.rng.random()
        if now >= self._next_s:
            self._strike(late=now > self._next_s + PATIENCE_S)

    def _strike(self, late: bool) -> None:
        there = [found for found in below(self.guard) if found[0] in self.kinds]
        victims = [found for found in there if found[0] == self._wanted] or (there if late else [])
        if victims:
            kind, process = victims[int(self._pick * len(victims))]
            with suppress(psutil.NoSuchProcess):
                line = " ".join(process.cmdline())[:160]
                process.send_signal(signal.SIGKILL)
                self.done.append(Kill(time.time(), kind, line))
                print(f"    killed {len(self.done):2d}: {kind}: {line[:90]}", flush=True)
                self._wanted = ""
