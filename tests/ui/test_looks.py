"""The registry's page in a browser: whole on a phone and on a screen, light and dark, for eyes and for screen readers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from tasks.ui import app
from tasks.ui.history import Champion, Made
from tests import browser as browsers

RUN = "asset_triggered__2026-11-01T02:00:00.123456+00:00_hzj2AmkD"
CHAMPIONS = [
    Champion(3, "v1.0.0", "2026-11-03 12:00", None, True, "the new one mumbles", "ada", "", "manual__2026-11-03"),
    Champion(
        2, "v1.0.1", "2026-11-02 02:00", "2026-11-03 12:00", False, "0.93 against 0.90", "the gate", "labels checked", RUN
    ),
    Champion(1, "v1.0.0", "2026-11-01 02:00", "2026-11-02 02:00", False, "0.90 of 440 samples", "the gate", "", "by hand 1"),
]
VERSIONS = [
    Made("v1.0.1", "2026-11-02 02:00", RUN, (2,), "the new one mumbles", ()),
    Made("v1.0.0", "2026-11-01 02:00", "by hand 1", (1, 3), None, ("bit-identical, 2026-11-02",)),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.chromium() as found:
        yield found


@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("size", [browsers.NARROW, browsers.WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_registry(
    chromium: Browser, tmp_path: Path, filled: bool, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    (tmp_path / "page.html").write_text(app.drawn(CHAMPIONS * filled, VERSIONS * filled))
    with browsers.page(chromium, size, color_scheme=scheme) as shown:
        shown.goto((tmp_path / "page.html").as_uri())
        assert browsers.findings(shown) == []
        assert not browsers.overflows(shown)
