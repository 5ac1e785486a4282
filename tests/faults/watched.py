"""Take what landed through ingest, profile and validate, and say whatever this process opens, starts and calls meanwhile.

`python -m tests.faults.watched`, where params.yaml is; it writes watched.json, pairs of an audit event and its first argument.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tasks.ingest.__main__ import main as ingest
from tasks.params import load
from tasks.profile.__main__ import profile
from tasks.validate.__main__ import validate

# What reads, starts or calls something; the audit hook is told before it happens.
READS = ("open", "os.listdir", "os.scandir")
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.system", "pty.spawn")
CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.sendto", "socket.sendmsg", "urllib.Request")
seen: list[tuple[str, str]] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in READS or event.startswith(STARTS + CALLS):
        seen.append((event, str(arguments[1] if event.startswith("socket.") else arguments[0])))


if __name__ == "__main__":
    sys.addaudithook(watch)
    ingest()
    for modality in load().modalities:
        profile(modality)
    validate()
    heard = json.dumps(seen)
    Path("watched.json").write_text(heard)
