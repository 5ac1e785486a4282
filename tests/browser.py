"""Debian's Chromium, driven: pages as people see them, with axe's findings and pictures for the README."""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

MUST = bool(os.environ.get("NIGHTLOOM_CI"))  # a test that would be skipped fails
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
PICTURES = os.environ.get("NIGHTLOOM_PICTURES")  # a folder: `make pictures` draws docs/ anew
WIDE, NARROW = (1440, 900), (390, 844)  # px
SERIOUS = ("serious", "critical")


def missing() -> str:
    """What this machine lacks; empty when it has all."""
    return "" if shutil.which("chromium") else "not installed: chromium (Debian's package)"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium without a window.

    Where there is none the test is skipped, but not where the whole suite must run.
    """
    if reason := missing():
        if MUST:
            pytest.fail(f"NIGHTLOOM_CI is set, so pages must be looked at: {reason}")
        pytest.skip(reason)
    sandbox = [] if os.getuid() else ["--no-sandbox"]  # root's Chromium has none
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        yield browser
        browser.close()


@contextmanager
def page(browser: Browser, size: tuple[int, int] = WIDE, **options: Any) -> Iterator[Page]:
    """A page of its own, as of another person."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    try:
        yield context.new_page()
    finally:
        context.close()


def findings(shown: Page) -> list[str]:
    """What axe finds serious, one text per rule with the first place."""
    shown.evaluate(AXE.read_text())  # by the driver: the page's own policy lets no script in
    found: Any = shown.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [one for one in found["violations"] if one["impact"] in SERIOUS]
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in serious]


def overflows(shown: Page) -> bool:
    """Whether one must scroll sideways to read it all; tables scroll by themselves."""
    return bool(shown.evaluate("document.scrollingElement.scrollWidth > document.documentElement.clientWidth"))


def watched(shown: Page) -> list[str]:
    """The list of what a page asks for, growing as it does."""
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    return asked


HIDE = """hidden => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(hidden, "");
}"""


def keep(shown: Page, name: str, hidden: str = "") -> None:
    """Draw docs/<name>.png, of at most 256 colours, where pictures are wanted, without the words that are `hidden`."""
    if not PICTURES:
        return
    if hidden:
        shown.evaluate(HIDE, hidden)
    drawn = Image.open(io.BytesIO(shown.screenshot())).convert("RGB")
    drawn.quantize(256, dither=Image.Dither.NONE).save(Path(PICTURES) / f"{name}.png", optimize=True)
