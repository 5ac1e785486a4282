"""Serve central until stopped: `python -m tasks.central --folder /srv/central`."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from tasks.central.repository import create_central
from tasks.central.server import NAME, Server
from tasks.errors import TasksError
from tasks.run.secret import conceal
from tasks.run.settings import rights


def serve(host: str, port: int, folder: Path) -> None:
    """Make the repository when it is not there, and serve it.

    Raises:
        WrongValue: a password is absent or short.
    """
    allowed = rights()
    create_central(folder / NAME)
    with Server((host, port), folder, allowed) as server:
        signal.signal(signal.SIGTERM, _stop)
        print(f"central is http://{host}:{server.server_address[1]}/{NAME}", flush=True)
        server.serve_forever()


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    conceal()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where central.git is kept")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, default=8085)
    asked = parser.parse_args()
    try:
        serve(asked.host, asked.port, asked.folder.absolute())
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"nightloom: {asked.host}:{asked.port} or {asked.folder}: {error}", file=sys.stderr)
        sys.exit(1)
