"""How people are told. What cannot be delivered is one line of the log and fails nothing; no address gets into a log."""

import html
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from tasks.notices.notice import Notice
from tasks.run.settings import Channels

TIMEOUT_S = 10
MAIL_CONNECTION = "smtp_default"  # Airflow's: AIRFLOW_CONN_SMTP_DEFAULT, or Admin > Connections


class Undelivered(Exception):
    """The other side answered, but not that it took the notice."""


def send(notice: Notice, to: Channels) -> None:
    """Tell whoever is to be told of this."""
    if notice.event not in to.events:
        return
    for name, deliver in CHANNELS.items():
        address = getattr(to, name)
        if not address:
            continue
        try:
            deliver(notice, address)
        except Exception as error:  # libraries put addresses into their messages: only ours are shown
            why = f": {error}" if isinstance(error, Undelivered) else ""
            print(f"notice of {notice.event} not delivered by {name}: {type(error).__name__}{why}", flush=True)
        else:
            print(f"notice of {notice.event} sent by {name}", flush=True)


def _slack(notice: Notice, address: str) -> None:
    """What any incoming webhook of Slack takes; `<!channel>` and links are made harmless, as Slack says."""
    text = notice.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    _post(address, {"text": text})


def _webhook(notice: Notice, address: str) -> None:
    _post(address, {**asdict(notice), "text": notice.text})


def _post(address: str, body: Mapping[str, Any]) -> None:
    import requests
    from airflow.sdk.log import mask_secret

    mask_secret(address)  # libraries log addresses when they debug
    answer = requests.post(address, json=body, timeout=TIMEOUT_S, allow_redirects=False)
    if not 200 <= answer.status_code < 300:
        raise Undelivered(f"answered {answer.status_code}")


def _mail(notice: Notice, to: tuple[str, ...]) -> None:
    # Airflow's notifier would read what people landed as a template: its hook sends what it is given.
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    lines = "".join(f"<p>{html.escape(line)}</p>" for line in notice.text.splitlines()[:-1])
    link = html.escape(notice.link, quote=True)
    with SmtpHook(smtp_conn_id=MAIL_CONNECTION) as hook:
        hook.send_email_smtp(
            to=list(to),
            subject=f"Nightloom: {notice.what}",
            html_content=f'{lines}<p><a href="{link}">{link}</a></p>',
        )


CHANNELS: Mapping[str, Callable[[Notice, Any], None]] = {"slack": _slack, "webhook": _webhook, "mail": _mail}
