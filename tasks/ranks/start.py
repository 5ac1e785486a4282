"""How the ranks of a stage find each other, and how they end together.

A stage whose params ask for several processes starts the others itself: the same command once more each, on this machine, over
loopback. Or a person starts them all, on one machine or several: `torchrun --nnodes 2 … -m tasks.train concat` sets RANK,
WORLD_SIZE and MASTER_ADDR; how many there are is still a param, for the last bits of the result depend on it.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import timedelta

import torch
from torch.distributed import TCPStore, destroy_process_group, init_process_group  # type: ignore[attr-defined]

from tasks.errors import WrongValue
from tasks.parallel import KILLED
from tasks.ranks import Parted, Ranks
from tasks.stage import leave
from tasks.steady import require

LOOPBACK, INTERFACE = "127.0.0.1", "lo" if sys.platform == "linux" else "lo0"
FIRST = "NIGHTLOOM_FIRST"  # in a started rank's environment: rank 0's process and port
WAIT_S = 600.0  # for another rank's answer; none waits longer than for a reading of the inputs or a validation
GRACE_S = 1.0  # in which a rank may tell its own mistake, when another has ended of it
LOOK_S = 0.2


@contextmanager
def joined(module: str, argument: str, processes: int, device: str) -> Iterator[Ranks]:
    """Be one of the ranks that fit a model together, or alone when one process is asked for.

    Args:
        module: of the stage, whose `processes` it is.
        argument: of its command.
        processes: how many.
        device: where they compute; each rank of a machine gets a GPU of its own on `cuda`.

    Raises:
        WrongValue: somebody started another number of processes, or there are fewer GPUs, or none.
        SystemExit: a rank was killed or did not answer, which is told as if this one had been; or ended with a mistake.
    """
    knob = f"{module.rpartition('.')[2]}.processes"
    running = os.environ.get("WORLD_SIZE", str(processes))
    if running != str(processes):
        raise WrongValue(f"params.yaml: {knob} is {processes}, but {running} processes were started (WORLD_SIZE)")
    if processes == 1:
        require(device)
        yield Ranks(device=device)
        return
    others = None if "RANK" in os.environ else Others([sys.executable, "-m", module, argument], processes)
    try:
        with _group(knob, processes, device, others) as ranks, nullcontext() if ranks.first else redirect_stdout(None):
            yield ranks
            ranks.meet()
    except Parted as lost:
        code = others.failed(wait_s=2 * GRACE_S) if others else None
        if code is None:
            print(f"one of {processes} processes is gone or did not answer: {lost}", file=sys.stderr, flush=True)
        raise SystemExit(code or KILLED) from None
    finally:
        if others:
            others.end()


@contextmanager
def _group(knob: str, processes: int, device: str, others: "Others | None") -> Iterator[Ranks]:
    """The ranks, connected."""
    number, local = int(os.environ.get("RANK", 0)), int(os.environ.get("LOCAL_RANK", 0))
    if os.environ.get("LOCAL_WORLD_SIZE", str(processes)) == str(processes):  # all on this machine: nobody else may listen
        os.environ.setdefault("GLOO_SOCKET_IFNAME", INTERFACE)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", INTERFACE)
    if device.startswith("cuda"):
        if device != "cuda" or torch.cuda.device_count() <= local:
            found = torch.cuda.device_count()
            raise WrongValue(f"params.yaml: {knob} needs `device: cuda` and a GPU each, got {device} and {found}")
        torch.cuda.set_device(local)
        device = f"cuda:{local}"
    backend = "cpu:gloo,cuda:nccl" if device != "cpu" else "gloo"
    store = others.store if others else _store(processes)
    limit = timedelta(seconds=WAIT_S)
    try:
        init_process_group(backend, store=store, rank=number, world_size=processes, timeout=limit)
    except RuntimeError as error:
        raise Parted(" ".join(str(error).split())[:300]) from error
    yield Ranks(number, processes, device)
    destroy_process_group()  # not after an error: it would wait for those who are gone


def _store(processes: int) -> TCPStore | None:
    """Where a started rank finds rank 0; None: as torchrun says."""
    if FIRST not in os.environ:
        return None
    parent, port = map(int, os.environ[FIRST].split(":"))
    if os.getppid() != parent:  # it died before this process asked to die with it
        leave(KILLED)
    return TCPStore(LOOPBACK, port, processes, False, timedelta(seconds=WAIT_S))


class Others:
    """The ranks that rank 0 has started. They end with it (`die_with_parent`), and it ends with the first that fails."""

    def __init__(self, command: Sequence[str], processes: int) -> None:
        """Start them; what they print to stderr is kept, for it is mostly what rank 0 says itself."""
        door = socket.create_server((LOOPBACK, 0))  # torch would listen on every interface
        port, limit = door.getsockname()[1], timedelta(seconds=WAIT_S)
        self.store = TCPStore(LOOPBACK, port, processes, True, limit, wait_for_workers=False, master_listen_fd=door.detach())
        world = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), FIRST: f"{os.getpid()}:{port}"}
        self._said = [tempfile.TemporaryFile() for _ in range(1, processes)]  # noqa: SIM115  closed by end; they have no names
        self._processes = [
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**os.environ, **world, "RANK": str(number), "LOCAL_RANK": str(number)},
            )
            for number, said in enumerate(self._said, 1)
        ]
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def failed(self, wait_s: float = 0.0) -> int | None:
        """What to end with, told, when one of them has ended badly; None when none has within that time."""
        for _ in range(1 + round(wait_s / LOOK_S)):
            ended = [(code, number) for number, process in enumerate(self._processes) if (code := process.poll())]
            if ended:  # who was killed first: the others end of that
                code, number = min(ended)
                self._said[number].seek(0)
                sys.stderr.write(self._said[number].read().decode(errors="replace"))
                return _told(number + 1, len(self._processes) + 1, code)
            threading.Event().wait(LOOK_S)
        return None

    def end(self) -> None:
        """End them: they have done their part, or it is of no use."""
        self._over.set()
        for process, said in zip(self._processes, self._said, strict=True):
            process.kill()
            process.wait()
            said.close()

    def _watch(self) -> None:
        """End this process when one of them fails while it computes, or waits for an answer that will not come."""
        while not self._over.wait(LOOK_S):
            if any(process.poll() for process in self._processes) and not self._over.wait(GRACE_S):
                leave(self.failed() or KILLED)


def _told(number: int, processes: int, code: int) -> int:
    if code > 0:
        return code
    print(f"process {number} of {processes} was killed, perhaps for its memory: lower processes", file=sys.stderr, flush=True)
    return KILLED
