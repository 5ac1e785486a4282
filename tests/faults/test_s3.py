"""A bad S3, between us and which a proxy fails, resets, cuts and lies; and a push that is killed half-way.

Every fault is seeded. What must hold: success within the retries or a typed error, no object whose content is not what its
name says, at most five times the requests of an undisturbed run; of a killed push temporary objects at most, which the
next try does not mind.
"""

import hashlib
import http.client
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tasks.errors import NoData
from tasks.files import file_digest
from tasks.gc import tries
from tasks.ingest import digest, ingest
from tasks.ingest.landing import list_batches
from tasks.run.atwork import DAY_S
from tests.faults.stages import child, ended
from tests.ingest.land import params, write
from tests.ingest.test_ingest import FILES, ROWS
from tests.run.conftest import Project

FAULTS = ("fail", "reset", "cut", "slow")
SHARE = 0.1
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "only-for-moto", "AWS_DEFAULT_REGION": "us-east-1"}


class Proxy(BaseHTTPRequestHandler):
    """Hands requests on, or not."""

    protocol_version = "HTTP/1.1"
    server: "Bad"

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.next_fault()
        if fault == "fail":
            self.answer(503, b"<Error><Code>SlowDown</Code></Error>", {})
        elif fault == "reset":
            self.close_connection = True
            self.connection.close()
        else:
            time.sleep(0.5 if fault == "slow" else 0)
            status, headers, content = self.server.forward(self.command, self.path, body, dict(self.headers))
            self.answer(status, content, headers, cut=fault == "cut" and len(content) > 1)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815  the library's names

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
    """The proxy's server: seeded faults before a good one."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Proxy)
        self.upstream, self.rng, self.share, self.requests = (host, port), random.Random(0), 0.0, 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_fault(self) -> str:
        with self.lock:
            self.requests += 1
            return self.rng.choice(FAULTS) if self.rng.random() < self.share else ""

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.upstream, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""

    def count(self, share: float) -> int:
        """The requests since the last call; from now on this share of them is spoilt."""
        with self.lock:
            before, self.requests, self.share, self.rng = self.requests, 0, share, random.Random(1)
        return before


@pytest.fixture(scope="module")
def bad() -> Iterator[Bad]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = Bad(*server.get_host_and_port())
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    yield proxy
    proxy.shutdown()
    proxy.server_close()
    server.stop()


@pytest.fixture
def store(bad: Bad, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": bad.url}.items():
        monkeypatch.setenv(name, value)
    bad.count(0.0)
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    return client


def lies(client: Any) -> list[str]:
    """Objects of DVC's whose content is not what their name says."""
    found = []
    for item in client.list_objects_v2(Bucket="bucket", Prefix="remote/files/md5/").get("Contents", []):
        named = item["Key"].removeprefix("remote/files/md5/").replace("/", "").removesuffix(".dir")
        content = client.get_object(Bucket="bucket", Key=item["Key"])["Body"].read()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != named:
            found.append(item["Key"])
    return found


def test_ingest_through_a_bad_s3_takes_every_byte_or_says_so(store: Any, bad: Bad, tmp_path: Path) -> None:
    landed = write(tmp_path / "night", ROWS, files=FILES)
    for file in sorted((tmp_path / "night").rglob("*")):
        if file.is_file():
            store.put_object(Bucket="bucket", Key=f"zone/night/{file.relative_to(tmp_path / 'night')}", Body=file.read_bytes())
    good = digest(landed, params())
    bad.count(0.0)
    ingest(list_batches("s3://bucket/zone")[0], params(), tmp_path / "calm")
    calm = bad.count(SHARE)
    taken = 0
    for number in range(5):
        try:
            batch = ingest(list_batches("s3://bucket/zone")[0], params(), tmp_path / str(number)).batch
        except NoData:
            continue
        taken += 1
        assert batch.digest == good
    assert taken >= 4  # each request has five tries
    assert bad.count(0.0) <= 5 * 5 * calm


def test_push_and_pull_through_a_bad_s3_succeed_within_the_tries_of_a_task(project: Project, store: Any, bad: Bad) -> None:
    commit = project.commit()
    variables = {**KEYS, "AWS_ENDPOINT_URL": bad.url, "NIGHTLOOM_REMOTE": "s3://bucket/remote"}
    done, tries = {}, 0
    for stage in ("profile@a", "profile@b", "validate"):
        bad.count(SHARE)
        for _ in range(11):  # as many tries as Airflow gives
            tries += 1
            code, last, _ = ended(
                project, commit, stage, done, **variables, NIGHTLOOM_CACHE=str(project.settings.home / f"c{tries}")
            )
            assert code in {0, 1}, last
            if code == 0:
                done[stage] = child(project, commit, stage, done, **variables).wait().answer
                break
        assert stage in done, last
        bad.count(0.0)
        assert lies(store) == []
    assert tries <= 12


PUSHER = """
import sys
from dvc.repo import Repo
with Repo() as repo:
    print("pushing", flush=True)
    repo.push()
"""


def test_a_push_that_is_killed_leaves_nothing_half_written_and_can_be_done_again(project: Project) -> None:
    folder, remote = project.checkout, Path(project.settings.remote)
    for number in range(4):
        (folder / f"large-{number}").write_bytes(random.Random(number).randbytes(40 << 20))
    subprocess.run(["dvc", "add", "--quiet", *(f"large-{number}" for number in range(4))], cwd=folder, check=True)
    with subprocess.Popen(
        [sys.executable, "-c", PUSHER], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as push:
        assert push.stdout is not None
        push.stdout.readline()
        end = time.monotonic() + 60
        while push.poll() is None and not list(remote.glob("files/md5/*/.*.tmp")) and time.monotonic() < end:
            time.sleep(0.001)
        push.send_signal(signal.SIGKILL)
    assert halves(remote) == []
    left = tries.halves([remote], lambda: time.time() + 2 * DAY_S)  # `make gc`, two days later
    assert tries.halves([remote]) == []  # today it may be at work
    assert {path for path in remote.rglob("*") if path.name.endswith(".tmp")} == set(left)
    tries.drop(left)
    assert not list(remote.rglob("*.tmp"))
    subprocess.run(["dvc", "push", "--quiet"], cwd=folder, check=True)
    assert halves(remote) == []
    assert sum(path.stat().st_size == 40 << 20 for path in remote.glob("files/md5/*/*")) >= 4


def halves(remote: Path) -> list[Path]:
    """Objects under final names that are not what their name says."""
    named = {path: (path.parent.name + path.name).removesuffix(".dir") for path in remote.glob("files/md5/??/*")}
    return [path for path, md5 in named.items() if len(md5) == 32 and file_digest(path, "md5") != md5]
