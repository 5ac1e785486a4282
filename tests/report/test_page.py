"""The page in a browser: whole on a phone and on a screen, light and dark, for eyes and for screen readers; sortable."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser

from tasks import report
from tests import browser as browsers

SIZES = {"phone": browsers.NARROW, "screen": browsers.WIDE}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.chromium() as found:
        yield found


@pytest.fixture
def address(night: dict[str, Any], tmp_path: Path) -> str:
    return report.write(tmp_path / "page", **night).as_uri()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(chromium: Browser, address: str, size: str, scheme: Literal["light", "dark"]) -> None:
    with browsers.page(chromium, SIZES[size], color_scheme=scheme) as shown:
        asked = browsers.watched(shown)
        shown.goto(address)
        assert browsers.findings(shown) == []
        assert not browsers.overflows(shown)
        assert [one for one in asked if not one.startswith("data:")] == [address]
        why = shown.get_by_role("region", name="The gate, row by row")  # on a phone, too, reasons are read without scrolling
        assert why.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_the_checker_would_find_what_is_hard_to_read(chromium: Browser, address: str) -> None:
    with browsers.page(chromium) as shown:
        shown.goto(address)
        shown.evaluate("document.querySelector('h1').style.color = '#ddd'")
        assert [one.split(":")[0] for one in browsers.findings(shown)] == ["color-contrast"]


def test_a_table_is_sorted_by_the_column_that_one_presses(chromium: Browser, address: str) -> None:
    with browsers.page(chromium) as shown:
        shown.goto(address)
        table = shown.get_by_role("region", name="Scores: accuracy of label")

        def column() -> list[str]:
            return [row.split("selected")[0] for row in table.locator("tbody tr td:first-child").all_inner_texts()]

        assert column()[0] == "mean"
        table.get_by_role("button", name="All").click()
        assert column() == ["mean", "concat", "late", "alone-text", "alone-audio", "alone-image"]
        table.get_by_role("button", name="All").click()
        assert column() == ["alone-image", "alone-audio", "alone-text", "late", "concat", "mean"]
        table.get_by_role("button", name="Candidate").click()
        assert column() == ["alone-audio", "alone-image", "alone-text", "concat", "late", "mean"]
        assert table.locator("th[aria-sort=ascending]").inner_text().startswith("Candidate")
        gate = shown.get_by_role("region", name="The gate, row by row")
        gate.get_by_role("button", name="Measured").click()  # a row without a number comes last, whichever way
        assert "floor_over_single" in gate.locator("tbody tr").last.inner_text()


def test_a_script_that_somebody_smuggled_in_does_not_run(chromium: Browser, night: dict[str, Any], tmp_path: Path) -> None:
    path = report.write(tmp_path / "page", **night)
    evil = "<script>document.title = 'mine'</script><img src=x onerror=\"document.title = 'mine'\">"
    path.write_text(path.read_text().replace("0.4 points better", f"{evil}0.4 points better"))
    with browsers.page(chromium) as shown:
        shown.goto(path.as_uri())
        assert shown.locator("script").count() >= 2
        assert shown.title().startswith("promote")


def test_without_scripts_it_is_all_there(chromium: Browser, address: str) -> None:
    with browsers.page(chromium, java_script_enabled=False) as shown:
        shown.goto(address)
        assert shown.get_by_role("columnheader", name="Candidate").is_visible()
        assert shown.locator("th button").count() == 0
