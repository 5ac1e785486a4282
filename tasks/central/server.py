"""git over HTTP: git's own http-backend behind a threaded server that asks for a login first and streams both ways.

Answers: 401 no login or a wrong one, 403 a reader that pushes, 404 anything but the one repository, 413 a push that is too
large. What comes is written to git as it comes, what git says goes out as it is said: nothing is held in memory.
"""

import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tasks.central.body import CHUNK, Broken, TooLarge, blocks
from tasks.central.rights import Rights
from tasks.run.git import IDENTITY

NAME = "central.git"
LIMIT = 512 << 20  # bytes of one request: code and small JSON live here, data does not
WAIT_S = 120  # for a client that says nothing
SERVICES = ("git-upload-pack", "git-receive-pack")


class Server(ThreadingHTTPServer):
    """The server of one repository."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], folder: Path, rights: Rights, limit: int = LIMIT) -> None:
        """Listen at an address; the repository is <folder>/central.git."""
        super().__init__(address, Handler)
        self.folder = folder
        self.rights = rights
        self.limit = limit


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"  # git sends long bodies in chunks
    timeout = WAIT_S
    server: Server

    def version_string(self) -> str:
        """What the Server header says: no versions."""
        return "nightloom"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name in the standard library
        """One line per request; the request line holds no secret, headers are not shown."""
        print(f"{self.client_address[0]} {format % args}".encode("ascii", "backslashreplace").decode(), flush=True)

    def do_GET(self) -> None:
        """What a fetch or a push begins with, and the health check."""
        if self.path == "/healthz":
            self._say(200, "ok")
            return
        address = urlsplit(self.path)
        service = parse_qs(address.query).get("service", [""])[0]
        if address.path != f"/{NAME}/info/refs" or service not in SERVICES:
            self._say(404, f"there is only /{NAME} here")
        elif login := self._login(service):
            self._serve(address.path, address.query, login)

    def do_POST(self) -> None:
        """The exchange itself."""
        service = self.path.removeprefix(f"/{NAME}/")
        if service not in SERVICES:
            self._say(404, f"there is only /{NAME} here")
        elif login := self._login(service):
            self._serve(self.path, "", login)

    def _login(self, service: str) -> str | None:
        """Who asks; None when that was answered here, because it may not be."""
        login = self.server.rights.login(self.headers["Authorization"])
        if login is None:
            self._say(401, "wrong user or password", {"WWW-Authenticate": 'Basic realm="nightloom"'})
        elif login == "reader" and service == "git-receive-pack":
            self._say(403, "reader may fetch, not push")
            return None
        return login

    def _say(self, code: int, text: str, headers: dict[str, str] | None = None) -> None:
        """Answer in one line; git shows it to people after `remote:`."""
        content = f"{text}\n".encode()
        self.close_connection = True  # a body may wait unread
        self.send_response(code)
        for name, value in {"Content-Type": "text/plain", "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _serve(self, path: str, query: str, login: str) -> None:
        size = self.headers.get("Content-Length") or "0"
        if not size.isdecimal():
            self._say(400, "Content-Length is no number")
            return
        if int(size) > self.server.limit:
            self._say(*self._told([TooLarge()]))
            return
        self._exchange(path, query, login)

    def _exchange(self, path: str, query: str, login: str) -> None:
        """Start git, write to it and read from it until it has answered."""
        backend = subprocess.Popen(
            ["git", "http-backend"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(path, query, login),
        )
        fault: list[Exception] = []
        feeder = threading.Thread(target=self._feed, args=(backend, fault), daemon=True)
        feeder.start()
        try:
            self._send_answer(backend, fault)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True  # the client is gone
        finally:
            backend.kill()
            backend.wait()
            if backend.stdout is not None:
                backend.stdout.close()

    def _environment(self, path: str, query: str, login: str) -> dict[str, str]:
        """CGI's variables, and nothing of ours: git and the hook get no password."""
        given = {
            "CONTENT_TYPE": self.headers.get("Content-Type"),
            "CONTENT_LENGTH": self.headers.get("Content-Length"),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding"),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol"),
        }
        return {
            **IDENTITY,
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.server.folder),
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "receive.maxInputSize",  # what a compressed body unfolds to, too
            "GIT_CONFIG_VALUE_0": str(self.server.limit),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_USER": login,
            "REMOTE_ADDR": self.client_address[0],
            **{name: value for name, value in given.items() if value is not None},
        }

    def _feed(self, backend: "subprocess.Popen[bytes]", fault: list[Exception]) -> None:
        """Write the body to git while it answers; a body that is refused ends git."""
        if backend.stdin is None:
            return
        try:
            with backend.stdin as to:
                for block in blocks(self.rfile, self.headers, self.server.limit):
                    to.write(block)
        except (BrokenPipeError, ValueError):
            return  # git has said all it will, or `_serve` is done
        except (TooLarge, Broken, OSError) as error:
            fault.append(error)
            backend.kill()

    def _send_answer(self, backend: "subprocess.Popen[bytes]", fault: list[Exception]) -> None:
        """What git answers: CGI headers, then a body until its end."""
        if backend.stdout is None:
            return
        headers = {}
        while line := backend.stdout.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name] = value.strip()
        if not headers:
            self._say(*self._told(fault))
            return
        self.close_connection = True  # the end of the connection is the end of the body
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        shutil.copyfileobj(backend.stdout, self.wfile, CHUNK)

    def _told(self, fault: list[Exception]) -> tuple[int, str]:
        """Code and reason of an exchange that git did not answer."""
        if fault and isinstance(fault[0], TooLarge):
            return 413, f"a request may have {self.server.limit} bytes"
        if fault:
            return 400, f"the request's body cannot be read: {fault[0]}"
        return 500, "git gave no answer; see the server's log"
