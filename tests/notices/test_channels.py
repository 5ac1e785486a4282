"""Delivery, to real servers; and that what fails is one line which shows no address."""

import email
import email.policy
from collections.abc import Iterator

import pytest

from tasks.notices.channels import send
from tasks.notices.notice import Notice
from tasks.run.settings import EVENTS, Channels
from tests.notices.servers import Mail, Web, serving

LINK = "http://127.0.0.1:8080/dags/retrain/runs/r"
NOTICE = Notice(
    "rejection", "r", "the candidate was rejected", "champion: {{ 7 * 6 }} <!channel> & worse", "report: /r/<b>", LINK
)


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


def test_slack_and_a_webhook_get_the_two_lines_and_the_link(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    send(NOTICE, Channels(slack=web.url("/slack-canary"), webhook=web.url("/hook-canary")))
    (first, slack), (second, hook) = web.got
    assert (first, second) == ("/slack-canary", "/hook-canary")
    wanted = "Nightloom: the candidate was rejected: champion: {{ 7 * 6 }} &lt;!channel&gt; &amp; worse\nreport: /r/&lt;b&gt;"
    assert slack == {"text": f"{wanted}\n{LINK}"}
    facts = {name: hook[name] for name in ("event", "run", "what", "why", "look", "link")}
    assert Notice(**facts) == NOTICE
    assert hook["text"] == NOTICE.text
    said = capsys.readouterr()
    assert said.out == "notice of rejection sent by slack\nnotice of rejection sent by webhook\n"
    assert "canary" not in said.out + said.err


def test_a_mail_arrives_with_everything_escaped_and_nothing_taken_for_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Mail()) as server:
        port = server.server_address[1]
        options = "disable_ssl=true&disable_tls=true&from_email=nightloom%40example.org"
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", f"smtp://127.0.0.1:{port}?{options}")
        send(NOTICE, Channels(mail=("ada@example.org", "bob@example.org")))
    [(to, text)] = server.got
    message = email.message_from_string(text, policy=email.policy.default)
    assert to == ["ada@example.org", "bob@example.org"]
    assert (message["Subject"], message["From"]) == ("Nightloom: the candidate was rejected", "nightloom@example.org")
    [part] = [part for part in message.walk() if part.get_content_type() == "text/html"]
    html = part.get_content()
    assert "champion: {{ 7 * 6 }} &lt;!channel&gt; &amp; worse</p>" in html
    assert f'<a href="{LINK}">{LINK}</a>' in html


@pytest.mark.parametrize("status", [404, 500, 307])
def test_what_is_not_taken_is_one_line(web: Web, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    web.status = status
    send(NOTICE, Channels(slack=web.url("/canary")))
    assert [path for path, _ in web.got] == ["/canary"]  # and no other address is followed to
    assert capsys.readouterr().out == f"notice of rejection not delivered by slack: Undelivered: answered {status}\n"


def test_a_server_that_is_away_is_one_line_and_the_others_are_told(
    web: Web, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", "smtp://user:canary@127.0.0.1:1?disable_ssl=true&from_email=a")
    send(NOTICE, Channels(slack="http://127.0.0.1:1/canary", webhook=web.url("/"), mail=("ada@example.org",)))
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "notice of rejection not delivered by slack: ConnectionError",
        "notice of rejection sent by webhook",
        "notice of rejection not delivered by mail: ConnectionRefusedError",
    ]
    assert "canary" not in said.out + said.err


@pytest.mark.parametrize("event", EVENTS)
def test_only_what_was_asked_for_is_told(web: Web, event: str) -> None:
    notice = Notice(event, "r", "x", "y", "z", LINK)
    send(notice, Channels(webhook=web.url("/"), events=tuple(set(EVENTS) - {event})))
    assert web.got == []
    send(notice, Channels(webhook=web.url("/"), events=(event,)))
    assert [body["event"] for _, body in web.got] == [event]
