"""`make run` without Airflow: what it says and how it ends when its night did well or not. Real nights: tests/test_night.py."""

import socket
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tasks.embedded import night
from tasks.embedded.night import run
from tasks.embedded.summary import Night


@pytest.mark.parametrize(
    ("state", "closed", "code", "told"),
    [
        ("success", {"outcome": "nothing new", "problems": []}, 0, "outcome   nothing new"),
        ("failed", {"outcome": "batch rejected", "problems": ["too many broken"]}, 1, "problem   too many broken"),
        ("failed", None, 1, "run       r: failed"),
    ],
)
def test_it_ends_as_its_night_did(
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    state: str,
    closed: Any,
    code: int,
    told: str,
) -> None:
    monkeypatch.setattr(night, "Group", lambda *_, **__: nullcontext())
    monkeypatch.setattr(night, "start", lambda *_: None)
    monkeypatch.setattr(night, "one_night", lambda *_: Night("r", state, {"batches": ["night-1"]}, closed, None))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("NIGHTLOOM_PORT", str(free.getsockname()[1]))
    assert run(checkout) == code
    said = capsys.readouterr().out
    assert "sample: landed night-1" in said
    assert told in said
