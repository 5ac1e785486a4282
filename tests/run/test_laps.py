"""Seconds by part."""

from pathlib import Path
from time import sleep

import pytest

from tasks.run.laps import Laps


def test_a_part_that_comes_again_adds_up_and_one_that_fails_counts() -> None:
    laps = Laps()
    for _ in range(2):
        with laps.of("pull"):
            sleep(0.02)
    with pytest.raises(FileNotFoundError, match="absent"), laps.of("push"):
        Path("absent").read_bytes()
    assert list(laps.spent_s) == ["pull", "push"]
    assert 0.04 <= laps.spent_s["pull"] < 0.2
    assert 0 <= laps.spent_s["push"] < 0.1
