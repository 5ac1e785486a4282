"""Commands as another user of this machine: made-up numeric ids, no groups, a home of their own."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

NEEDED = ("unshare", "setpriv")


@cache
def cannot() -> str:
    """Why this machine cannot start a process as another user; empty when it can."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "other users' processes can be started by root alone"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} not found"
    done = subprocess.run(command(65533, ["true"]), capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def command(uid: int, words: Sequence[str]) -> list[str]:
    """The command that runs `words` as this user, in a mount namespace of its own.

    Python itself may lie below a folder that is closed to others, such as root's home: there the namespace shows an open
    folder with nothing but Python in it. Programs that ask for a user's name are told `person<uid>`.
    """
    person = f"person{uid}:x:{uid}:{uid}::/:/bin/sh"
    steps = [
        "mount -t tmpfs -o mode=755,size=1m tmpfs /mnt",
        f"{{ cat /etc/passwd; echo {person}; }} > /mnt/passwd",
        "mount --bind /mnt/passwd /etc/passwd",
    ]
    python = Path(sys.base_prefix).resolve()
    closed = next((folder for folder in reversed(python.parents) if not folder.stat().st_mode & 0o001), None)
    if closed:
        keep, at, to = "/mnt/python", shlex.quote(str(closed)), shlex.quote(str(python))
        steps += [
            f"mkdir {keep}",
            f"mount --bind {to} {keep}",
            f"mount -t tmpfs -o mode=755,size=1m tmpfs {at}",
            f"mkdir -p {to}",
            f"mount --bind {keep} {to}",
            f"umount {keep}",
        ]
    switch = f"exec setpriv --reuid {uid} --regid {uid} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all"
    script = " && ".join([*steps, f'{switch} -- "$@"'])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *words]


def home(folder: Path, uid: int) -> Path:
    """Make a folder that this user alone can enter."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    os.chown(folder, uid, uid)
    return folder
