"""Secrets taken out of text that leaves a process: logs, errors, what tasks return."""

import os
import re
from typing import Any

# user:password@ or token@ of an address; a lone user, as in ssh://git@host, is no secret
LOGIN = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^\s/@:'\"]*):(?P<password>[^\s/@'\"]*)@", re.IGNORECASE)
TOKEN = re.compile(r"(?P<scheme>\bhttps?://)[^\s/@:'\"]+@", re.IGNORECASE)
NAMED = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|API_?KEY|ACCESS_KEY|FERNET|WEBHOOK|CONN\b|CONN_", re.IGNORECASE)
LEAST = 6  # characters; a shorter value would black out ordinary words
HIDDEN = "***"


def redacted(text: str) -> str:
    """The text without logins in addresses, and without the values of variables whose name says that they are secret."""
    text = TOKEN.sub(rf"\g<scheme>{HIDDEN}@", LOGIN.sub(rf"\g<scheme>{HIDDEN}@", text))
    for value in _secrets():
        text = text.replace(value, HIDDEN)
    return text


def without_secrets(answer: Any) -> Any:
    """The same of every text in what JSON told; a number is none, whatever digits it has."""
    if isinstance(answer, dict):
        return {redacted(key): without_secrets(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [without_secrets(value) for value in answer]
    return redacted(answer) if isinstance(answer, str) else answer


def _secrets() -> list[str]:
    found = {value for name, value in os.environ.items() if NAMED.search(name) and len(value) >= LEAST}
    return sorted(found, key=len, reverse=True)  # the longest first: one may be part of another
