"""A proxy before an S3 server: it hands requests on, or fails, resets, delays and cuts them, or stands still in one."""

import http.client
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FAULTS = ("fail", "reset", "cut", "slow")
SLOW_S = 0.5
PATIENCE_S = 60
FIRST = 1 << 16  # bytes of a request that are read before the proxy stands still, and of the next ones that wait meanwhile
SLOW_DOWN = b"<Error><Code>SlowDown</Code></Error>"
# What Amazon's S3 may say after the `200 OK` of a CompleteMultipartUpload, since it answers before it knows.
ERROR = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code>'
    b"<Message>We encountered an internal error. Please try again.</Message></Error>"
)


class Proxy(BaseHTTPRequestHandler):
    """Hands requests on, or not."""

    protocol_version = "HTTP/1.1"
    server: "Bad"

    def handle_any(self) -> None:
        with self.server.at_work():
            self.handle_one()

    def handle_one(self) -> None:
        fault = self.server.next_fault(self.command, self.path)
        body, whole = self.body()
        if not whole:  # the client died: so does what it was saying, in the middle
            self.close_connection = True
            self.server.break_off(self.command, self.path, body, dict(self.headers))
        elif fault == "fail":
            self.answer(503, SLOW_DOWN, {})
        elif fault == "reset":
            self.close_connection = True
            self.connection.close()
        elif fault == "refuse":
            self.answer(200, ERROR, {})
        else:
            time.sleep(SLOW_S if fault == "slow" else 0)
            status, headers, content = self.server.forward(self.command, self.path, body, dict(self.headers))
            content = ERROR if fault == "lie" else content
            self.answer(status, content, headers, cut=fault == "cut" and len(content) > 1)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815  the library's names

    def body(self) -> tuple[bytes, bool]:
        """The request's content, and whether all of it came."""
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(min(length, FIRST))
        self.server.stand_still(self.command, self.path)
        try:
            content += self.rfile.read(length - len(content))
        except ConnectionError:
            return content, False
        return content, len(content) == length

    def answer(self, status: int, content: bytes, headers: dict[str, str], cut: bool = False) -> None:
        self.send_response(status)
        skipped = {"connection", "transfer-encoding", "date", "server"} | (
            set() if self.command == "HEAD" else {"content-length"}
        )
        for name, value in headers.items():
            if name.lower() not in skipped:
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


class Bad(ThreadingHTTPServer):
    """The proxy's server: seeded faults before a good one.

    Attributes:
        completions: what becomes of the next CompleteMultipartUploads: `refuse` (not done, and an error in the answer 200),
            `lie` (done, and the same answer).
        halted: the proxy stands still, as `stand` has asked for.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Proxy)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FIRST)
        self.upstream, self.rng, self.share, self.requests = (host, port), random.Random(0), 0.0, 0
        self.completions: list[str] = []
        self.word, self.halted, self.go_on = "", threading.Event(), threading.Event()
        self.lock, self.busy = threading.Lock(), 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_fault(self, method: str, path: str) -> str:
        with self.lock:
            self.requests += 1
            if self.completions and method == "POST" and "uploadId" in parse_qs(urlsplit(path).query):
                return self.completions.pop(0)
            return self.rng.choice(FAULTS) if self.rng.random() < self.share else ""

    def stand(self, word: str) -> None:
        """Stand still at the beginning of each PUT with this word in its path, until `go`."""
        self.halted.clear()
        self.go_on.clear()
        self.word = word

    def go(self) -> None:
        """Go on, and wait until all that was asked is answered."""
        self.word = ""
        self.go_on.set()
        end = time.monotonic() + PATIENCE_S
        while self.busy:
            assert time.monotonic() < end, "requests without an end"
            time.sleep(0.01)

    def stand_still(self, method: str, path: str) -> None:
        if self.word and method == "PUT" and self.word in path:
            self.halted.set()
            self.go_on.wait(PATIENCE_S)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with self.lock:
            self.busy += 1
        try:
            yield
        finally:
            with self.lock:
                self.busy -= 1

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.upstream, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def break_off(self, method: str, path: str, half: bytes, headers: dict[str, str]) -> None:
        """Hand on what came of a request whose client died: the server is promised more than it gets."""
        connection = http.client.HTTPConnection(*self.upstream, timeout=30)
        connection.request(method, path, half, headers)
        connection.sock.shutdown(socket.SHUT_WR)
        while connection.sock.recv(1 << 16):  # until the server is done with it
            pass
        connection.close()

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""

    def count(self, share: float) -> int:
        """The requests since the last call; from now on this share of them is spoilt."""
        with self.lock:
            before, self.requests, self.share, self.rng = self.requests, 0, share, random.Random(1)
        return before
