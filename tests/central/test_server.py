"""git over HTTP against the real server process, with git itself and with requests that git would not send."""

import base64
import http.client
import io
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tasks.central.body import Broken, TooLarge, blocks
from tasks.central.repository import create_central
from tasks.run.git import Denied, GitFailed, compare_and_set, create_ref, git
from tests.central.conftest import FORGETTING, PASSWORDS, Served, environment


def head(repository: Path, ref: str = "HEAD") -> str:
    return git("rev-parse", ref, cwd=repository)


def test_the_writer_pushes_and_the_reader_fetches(served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served.login(monkeypatch, "writer")
    assert create_ref(served.checkout, served.central, head(served.checkout), "refs/heads/main")
    assert not create_ref(served.checkout, served.central, head(served.checkout, "HEAD^{tree}"), "refs/heads/main")
    served.login(monkeypatch, "reader")
    git("clone", "--quiet", served.central, str(tmp_path / "clone"))
    assert head(tmp_path / "clone") == head(served.checkout)


def test_a_large_push_and_a_large_fetch_arrive_whole(served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = os.urandom(5 << 20)  # over git's buffer of 1 MB: it is sent in chunks
    (served.checkout / "large").write_bytes(content)
    git("add", "--all", cwd=served.checkout)
    git("commit", "--quiet", "--message=large", cwd=served.checkout)
    served.login(monkeypatch, "writer")
    git("push", "--quiet", served.central, "main", cwd=served.checkout)
    git("clone", "--quiet", served.central, str(tmp_path / "clone"))
    assert (tmp_path / "clone/large").read_bytes() == content


def test_a_reader_that_pushes_is_told_who_may(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.login(monkeypatch, "reader")
    with pytest.raises(Denied, match=r"does not let this login push: `open`, `close` and `promote` need NIGHTLOOM_GIT_USER"):
        create_ref(served.checkout, served.central, head(served.checkout), "refs/heads/main")
    assert git("for-each-ref", cwd=served.repository) == ""


@pytest.mark.parametrize(("user", "password"), [("writer", "wrong"), ("nobody", PASSWORDS["writer"]), ("reader", "")])
def test_a_wrong_login_is_told_what_to_set(served: Served, monkeypatch: pytest.MonkeyPatch, user: str, password: str) -> None:
    served.login(monkeypatch, user, password or " ")
    with pytest.raises(Denied, match="refuses the login: set NIGHTLOOM_GIT_USER and NIGHTLOOM_GIT_PASSWORD") as told:
        git("ls-remote", served.central)
    assert not password or password not in str(told.value)


def test_the_password_is_in_no_argument_and_in_no_log(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.login(monkeypatch, "writer")
    seen: list[list[str]] = []
    run = subprocess.run

    def spy(words: list[str], **options: object) -> object:
        seen.append([*words, *(options["env"] if "PATH" in options.get("env", {}) else [])])  # type: ignore[operator,call-overload,misc]
        return run(words, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", spy)
    git("push", "--quiet", served.central, "HEAD:refs/heads/main", cwd=served.checkout)
    code = base64.b64encode(f"writer:{PASSWORDS['writer']}".encode()).decode()
    assert "info/refs?service=git-receive-pack" in served.log.read_text()
    for text in (str(seen), served.log.read_text(), (served.repository / "config").read_text()):
        assert PASSWORDS["writer"] not in text
        assert code not in text


def test_moving_nightly_is_compare_and_set_over_http(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.login(monkeypatch, "writer")
    first = head(served.checkout)
    git("commit", "--quiet", "--allow-empty", "--message=one", cwd=served.checkout)
    one = head(served.checkout)
    git("commit", "--quiet", "--amend", "--allow-empty", "--message=other", cwd=served.checkout)
    other = head(served.checkout)
    ref = "refs/heads/nightly"
    assert compare_and_set(served.checkout, served.central, ref, "", first)
    assert compare_and_set(served.checkout, served.central, ref, first, one)
    assert not compare_and_set(served.checkout, served.central, ref, first, other)
    assert head(served.repository, ref) == one


@FORGETTING
def test_what_was_written_stays(served: Served, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str) -> None:
    served.login(monkeypatch, "writer")
    git("push", served.central, "HEAD:refs/tags/v1", "HEAD:refs/heads/nightly", cwd=served.checkout)
    git("commit", "--quiet", "--amend", "--allow-empty", "--message=another", cwd=served.checkout)
    with pytest.raises(GitFailed, match=why):
        git("push", served.central, *words, cwd=served.checkout)


def ask(served: Served, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """One request as no git client sends it; code and body."""
    address = urlsplit(served.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    connection.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    said = answer.status, answer.read()
    connection.close()
    return said


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{PASSWORDS[user]}".encode()).decode()


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/central.git/info/refs?service=git-upload-pack", 401),
        ("POST", "/central.git/git-receive-pack", 401),
        ("GET", "/central.git/config", 404),
        ("GET", "/central.git/info/refs", 404),  # the old protocol, which serves files
        ("GET", "/central.git/../../etc/passwd", 404),
        ("GET", "/central.git/info/refs?service=git-upload-archive", 404),
        ("POST", "/other.git/git-upload-pack", 404),
        ("POST", "/central.git/%2e%2e/git-upload-pack", 404),
        ("DELETE", "/central.git/HEAD", 501),
    ],
)
def test_nobody_gets_anything_but_the_health_check(served: Served, method: str, path: str, code: int) -> None:
    assert ask(served, method, path)[0] == code


@pytest.mark.parametrize(("path", "code"), [("info/refs?service=git-receive-pack", 403), ("git-receive-pack", 403)])
def test_a_reader_reaches_no_push_whatever_it_asks(served: Served, path: str, code: int) -> None:
    method = "GET" if "?" in path else "POST"
    assert ask(served, method, f"/central.git/{path}", Authorization=basic("reader"))[0] == code


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Bearer x", "Basic cmVhZGVy", "basic Og=="])
def test_a_header_that_is_no_login_is_none(served: Served, header: str) -> None:
    assert ask(served, "POST", "/central.git/git-upload-pack", Authorization=header)[0] == 401


def test_a_body_over_the_limit_is_refused_unread(served: Served) -> None:
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        lines = (
            "POST /central.git/git-receive-pack HTTP/1.1",
            f"Authorization: {basic('writer')}",
            f"Content-Length: {1 << 40}",
        )
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", ["-1", "x", "1_0"])
def test_a_length_that_is_no_number_is_refused(served: Served, length: str) -> None:
    path = "/central.git/git-receive-pack"
    assert ask(served, "POST", path, Authorization=basic("writer"), Content_Length=length)[0] == 400


def test_of_two_writers_at_once_one_wins(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.login(monkeypatch, "writer")
    git("push", "--quiet", served.central, "main", cwd=served.checkout)
    trees = [git("commit-tree", "HEAD^{tree}", stdin=f"{name}\n", cwd=served.checkout) for name in ("one", "other")]
    with ThreadPoolExecutor(2) as both:
        for number in range(10):
            ref = f"refs/heads/runs/{number}"
            won = list(both.map(lambda commit, ref=ref: create_ref(served.checkout, served.central, commit, ref), trees))
            assert sorted(won) == [False, True]
            assert head(served.repository, ref) == trees[won.index(True)]


@pytest.mark.parametrize("body", [b"nonsense\r\n", b"5\r\nabc"])
def test_a_body_that_breaks_off_changes_nothing_and_the_server_lives(served: Served, body: bytes) -> None:
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        lines = (
            "POST /central.git/git-receive-pack HTTP/1.1",
            f"Authorization: {basic('writer')}",
            "Content-Type: application/x-git-receive-pack-request",
            "Transfer-Encoding: chunked",
        )
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while block := connection.recv(1000):
            answer += block
    assert b"unpack ok" not in answer
    assert git("for-each-ref", cwd=served.repository) == ""
    assert ask(served, "GET", "/healthz")[0] == 200


def test_chunks_are_put_together_and_counted() -> None:
    chunked = {"Transfer-Encoding": "chunked"}
    assert b"".join(blocks(io.BytesIO(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), chunked, 5)) == b"abcde"
    with pytest.raises(TooLarge, match=r"^$"):
        list(blocks(io.BytesIO(b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"), chunked, 5))
    for broken, why in ((b"3\r\nab", "ends early"), (b"-3\r\nabc", "no size"), (b"fffffffff\r\n", "no size")):
        with pytest.raises(Broken, match=why):
            list(blocks(io.BytesIO(broken), chunked, 5))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"NIGHTLOOM_READER_PASSWORD": ""}, "NIGHTLOOM_READER_PASSWORD must have at least 16 characters, it has 0"),
        ({"NIGHTLOOM_WRITER_PASSWORD": "short"}, "NIGHTLOOM_WRITER_PASSWORD must have at least 16 characters, it has 5"),
        ({"NIGHTLOOM_WRITER_PASSWORD": PASSWORDS["reader"]}, "must differ"),
    ],
)
def test_without_two_passwords_it_does_not_start(tmp_path: Path, changed: dict[str, str], why: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tasks.central", "--folder", str(tmp_path), "--port", "0"],
        env={**environment(), **changed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "central.git").exists()


def test_a_central_that_was_cut_off_half_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    central = tmp_path / "central.git"

    def cut(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", cut)  # the last step before it gets its name
        with pytest.raises(KeyboardInterrupt):
            create_central(central)
    assert list(tmp_path.iterdir()) == []
    assert create_central(central)
    assert not create_central(central)
    assert os.access(central / "hooks/update", os.X_OK)
