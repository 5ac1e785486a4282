"""Whatever lands is read or refused with a reason, in little time and memory, and no process dies of it."""

import json
import subprocess
import sys

import pytest

from tasks.params import KINDS

MOST_S = 1.0  # CPU seconds of one file


@pytest.fixture(scope="module")
def told() -> dict[str, dict]:
    """By kind, what became of hostile and damaged files in a process that may take 256 MiB more than it began with."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.profile.fuzz"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    return {line["kind"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoder_refuses_what_is_hostile_and_survives_what_is_damaged(kind, told):
    found = told[kind]
    assert found["escaped"] == []
    assert found["starved"] == []
    assert found["accepted"] == []
    assert found["refused"] >= 30
    assert found["slowest"][0] < MOST_S, found["slowest"]
