"""CPU seconds of this process and all below it, whoever started them."""

import ctypes
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h: no orphan's seconds are lost
LOOK_S = 0.1


@dataclass(frozen=True)
class Process:
    """One process: who started it, its own CPU seconds, those of the children it waited for, its command."""

    parent: int
    own: float
    waited: float
    command: str


@dataclass
class Spent:
    """Wall and CPU seconds of a piece of work; `kinds` by kind of process, seen every 0.1 s, so somewhat below `cpu_s`."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    kinds: dict[str, float] | None = None


def below(root: int) -> dict[tuple[int, int], Process]:
    """The processes below one, itself included, by process id and start time."""
    found: dict[int, tuple[int, Process]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (read := _read(entry)):
            found[int(entry.name)] = read
    kept = {root}
    while more := {pid for pid, (_, process) in found.items() if process.parent in kept} - kept:
        kept |= more
    return {(pid, found[pid][0]): found[pid][1] for pid in kept if pid in found}


def _read(entry: Path) -> tuple[int, Process] | None:
    try:
        stat = (entry / "stat").read_text().rpartition(") ")[2].split()
        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    utime, stime, cutime, cstime = (int(stat[place]) / TICK for place in (11, 12, 13, 14))
    return int(stat[19]), Process(int(stat[1]), utime + stime, cutime + cstime, command)


def total_s(me: int) -> float:
    """CPU seconds so far of all processes below this one, the ended ones too; its own are left out."""
    return sum(process.waited + (process.own if pid != me else 0.0) for (pid, _), process in below(me).items())


@contextmanager
def measured(kind: dict[str, str]) -> Iterator[Spent]:
    """Measure what is done inside the block by processes below this one.

    Args:
        kind: a part of a command line -> the kind of process it tells; the first that fits counts.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    me, spent, seen, over = os.getpid(), Spent(), {}, threading.Event()
    before = below(me)
    watcher = threading.Thread(target=_watch, args=(me, seen, over), daemon=True)
    watcher.start()
    cpu, wall = total_s(me), time.monotonic()
    try:
        yield spent
    finally:
        spent.wall_s, spent.cpu_s = time.monotonic() - wall, total_s(me) - cpu
        over.set()
        watcher.join()
        spent.kinds = _by_kind(me, before, seen, kind)


def _watch(me: int, seen: dict[tuple[int, int], Process], over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        for key, process in below(me).items():  # one that has ended, and that nobody waited for yet, has no command line
            known = seen[key].command if key in seen and not process.command else process.command
            seen[key] = replace(process, command=known)


def _by_kind(
    me: int, before: dict[tuple[int, int], Process], seen: dict[tuple[int, int], Process], kind: dict[str, str]
) -> dict[str, float]:
    kinds: dict[str, float] = defaultdict(float)
    for key, process in seen.items():
        if key[0] != me:
            name = next((name for part, name in kind.items() if part in process.command), "other")
            kinds[name] += process.own - (before[key].own if key in before else 0.0)
    return {name: round(cpu, 1) for name, cpu in sorted(kinds.items())}
