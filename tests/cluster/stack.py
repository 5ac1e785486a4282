"""The cluster of docker/compose.yaml as plain processes on loopback: same commands, same environment, a user for each.

Host names become 127.0.0.1 and ports free ones, a container's folders become folders of a user of its own (0700), and the
images of others are stood in for by what is installed: PostgreSQL and Redis by themselves, the S3 store by moto's server.
"""

import http.client
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests import strangers
from tests.cluster import compose

UIDS = range(1_000_000, 2_000_000, 100)  # where a stack's users begin: two stacks on one machine must not share them
OURS = ("/home/nightloom", "/srv/central", "/var/lib/postgresql/data", "/data", "/tmp")  # noqa: S108  a container's folders
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def missing() -> str:
    """What this machine lacks; empty when it has all."""
    found = os.pathsep.join([os.environ["PATH"], *map(str, POSTGRES)])
    absent = [name for name in ("initdb", "postgres", "redis-server") if shutil.which(name, path=found) is None]
    return f"not installed: {', '.join(absent)}" if absent else strangers.cannot()


@dataclass
class Instance:
    """One running service."""

    name: str
    uid: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder.parent / f"{self.name}.log").read_text(errors="replace")


@dataclass
class Stack:
    """The services of the compose file below one folder.

    Attributes:
        folder: passable to everybody; each instance has a folder of its own in it.
        code: what the image has in /app.
        variables: what would stand in docker/.env.
    """

    folder: Path
    code: Path
    variables: Mapping[str, str]
    instances: list[Instance] = field(default_factory=list)
    started: int = 0
    first_uid: int = field(default_factory=lambda: random.choice(UIDS))

    def __post_init__(self) -> None:
        self.services: dict[str, Any] = compose.read(self.variables)["services"]
        self.ports = {(name, port): free_port() for name, service in self.services.items() for port in container_ports(service)}

    def port(self, service: str) -> int:
        """The port on loopback of a service that has one."""
        return next(port for (name, _), port in self.ports.items() if name == service)

    def start(self, service: str, queues: str = "", **changed: str) -> Instance:
        """Start a service's process as a new user; `queues` and `changed` settings replace those of the file."""
        self.started += 1
        name, uid = f"{service}-{self.started}", self.first_uid + self.started
        home = strangers.home(self.folder / name, uid)
        for path in OURS:
            strangers.home(home / path.strip("/").replace("/", "-"), uid)
        (home / "home-nightloom/.gitconfig").write_text(f"[safe]\n\tdirectory = {self.code}\n")  # the image has it for /app
        again = any(i.name.rpartition("-")[0] == service and i.process.poll() is None for i in self.instances)
        own = {port: free_port() if again else at for (of, port), at in self.ports.items() if of == service}
        environment = {key: self._here(str(value), home, own) for key, value in self._environment(service).items()}
        words = [self._here(word, home, own, words=True) for word in STAND_INS.get(service, Stack._command)(self, service)]
        if queues:
            words[words.index("--queues") + 1] = queues
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                strangers.command(uid, words),
                env={**image(home), **environment, **changed},
                cwd=self.code,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.instances.append(Instance(name, uid, home, process))
        return self.instances[-1]

    def once(self, service: str, **changed: str) -> Instance:
        """Run a service that ends by itself."""
        instance = self.start(service, **changed)
        assert instance.process.wait(timeout=600) == 0, instance.log[-3000:]
        return instance

    def _environment(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = self.services[service].get("environment", {})
        return found

    def _command(self, service: str) -> list[str]:
        found: list[str] = self.services[service]["command"]
        return found

    def _here(self, text: str, home: Path, own: Mapping[str, int], words: bool = False) -> str:
        """A text of the compose file with hosts, ports and folders as they are on this machine."""
        for (service, port), at in self.ports.items():
            text = text.replace(f"{service}:{port}", f"127.0.0.1:{at}")
        for port, at in own.items():
            text = re.sub(rf"\b{port}\b", str(at), text) if words else str(at) if text == port else text
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{at}")
        places = {path: str(home / path.strip("/").replace("/", "-")) for path in OURS} | {"/app": str(self.code)}
        pattern = rf"(?<![\w/.-])({'|'.join(sorted(places, key=len, reverse=True))})\b"  # at once: folders may lie below /tmp
        return re.sub(pattern, lambda found: places[found[1]], text).replace("0.0.0.0", "127.0.0.1")  # noqa: S104

    def stop(self, *instances: Instance) -> None:
        """End instances, or all of them: politely, and then by their users."""
        ending = instances or tuple(self.instances)
        for instance in reversed(ending):
            if instance.process.poll() is None:
                instance.process.terminate()
        for instance in ending:
            try:
                instance.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                instance.process.kill()
                instance.process.wait()
        uids = {instance.uid for instance in ending}
        left = [process for process in psutil.process_iter() if user(process) in uids]
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)

    def wait(self, done: Callable[[], Any], late: str, patience_s: float = 400) -> Any:
        """Wait until `done` gives something true; nothing that was started may end meanwhile, but by itself and well."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            for instance in self.instances:
                assert instance.process.poll() in (None, 0, -15), f"{instance.name} died: {instance.log[-3000:]}"
            if found := done():
                return found
            time.sleep(1)
        tails = "\n".join(f"--- {instance.name}\n{instance.log[-1500:]}" for instance in self.instances)
        raise AssertionError(f"{late}\n{tails}")


def user(process: psutil.Process) -> int | None:
    try:
        return int(process.uids().real)
    except psutil.NoSuchProcess:
        return None


def image(home: Path) -> dict[str, str]:
    """What the image itself sets, and nothing of the caller's environment."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), *map(str, POSTGRES[:1]), "/usr/local/bin:/usr/bin:/bin"]),
        "HOME": str(home / "home-nightloom"),
        "TMPDIR": str(home / "tmp"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def container_ports(service: Mapping[str, Any]) -> list[str]:
    return [str(entry).rsplit(":", 1)[-1] for entry in [*service.get("ports", ()), *service.get("expose", ())]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def healthy(port: int, path: str) -> bool:
    """Whether a server answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _postgres(stack: Stack, service: str) -> list[str]:
    """What the image's entry point does."""
    place = "/var/lib/postgresql/data"
    first = (
        f'initdb --pgdata {place} --username "$POSTGRES_USER" --pwfile "$TMPDIR/password"'
        " --auth scram-sha-256 --encoding UTF8 --no-locale --no-sync"
        f" && printf 'CREATE DATABASE %s;\\n' \"$POSTGRES_DB\" | postgres --single -D {place} postgres"
    )
    serve = f"exec postgres -D {place} -p 5432 -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    return ["sh", "-c", f'printf %s "$POSTGRES_PASSWORD" > "$TMPDIR/password" && {first} && {serve}']


def _s3(stack: Stack, service: str) -> list[str]:
    return ["python", "-m", "moto.server", "--host", "127.0.0.1", "--port", "8333"]


STAND_INS: Mapping[str, Callable[[Stack, str], list[str]]] = {"postgres": _postgres, "s3": _s3}
