"""What a person does in Airflow's UI, in a browser: logs in, fills in forms, looks."""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from playwright.sync_api import FrameLocator, Page, expect

WAIT_MS = 120_000  # on a machine that others use as well
expect.set_options(timeout=WAIT_MS)  # pages of Airflow and MLflow ask servers; five seconds, the default, is a race with them


class Person:
    """Somebody in front of a page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.set_default_timeout(WAIT_MS)

    def log_in(self, user: str, password: str) -> None:
        """Through the login form, to which Airflow leads whoever it does not know."""
        self.page.goto(self.url, wait_until="commit")  # the page itself leads on
        self.page.locator("input[name=username]").fill(user)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("button[type=submit]").click()
        expect(self.page.get_by_test_id("nav-dags-link")).to_be_visible()

    def open_form(self, dag: str, fields: Mapping[str, str]) -> None:
        """The trigger form of a DAG, filled in."""
        self.page.goto(f"{self.url}/dags/{dag}")
        self.page.get_by_test_id("trigger-dag-button").click()
        for name, value in fields.items():
            self.page.locator(f"[name=element_{name}]").fill(value)

    def send_form(self) -> str:
        """Trigger; the new run's id, to whose page Airflow leads."""
        self.page.get_by_test_id("trigger-dag-submit").click()
        self.page.wait_for_url(re.compile(r"/runs/[^/]+"), timeout=WAIT_MS)
        return unquote(self.page.url.split("/runs/")[1].split("/")[0].split("?")[0])

    def open_question(self, dag: str, run: str, reason: str) -> None:
        """The question that a run waits with, and a reason for the answer."""
        self.page.goto(self.run(dag, run, "/tasks/approve/required_actions"))
        self.page.locator("[name=element_reason]").fill(reason)

    def approve(self) -> None:
        """Answer yes."""
        self.page.get_by_test_id("hitl-option-Approve").click()

    def draw_graph(self, dag: str, run: str) -> None:
        """The run's graph, from top to bottom, as large as the page is."""
        self.page.evaluate(f"localStorage.setItem('direction-{dag}', JSON.stringify('DOWN'))")
        self.page.goto(self.run(dag, run))
        self.page.get_by_role("button", name="Show Graph").click()
        self.page.get_by_role("button", name="Collapse Details Panel").click()
        self.page.get_by_test_id("rf__wrapper").wait_for()
        self.page.wait_for_timeout(1000)  # it moves
        self.page.get_by_role("button", name="Fit View").click()
        self.page.wait_for_timeout(1000)

    def see_end(self, dag: str, run: str) -> str:
        """Wait on the run's page until it is over, as the page itself tells; how it ended."""
        self.page.goto(self.run(dag, run))
        badge = self.page.get_by_test_id("header-card").get_by_test_id("state-badge")
        expect(badge).to_have_text(re.compile("success|failed", re.IGNORECASE), timeout=WAIT_MS * 5)
        return badge.inner_text().strip().lower()

    def run(self, dag: str, run: str, tab: str = "") -> str:
        """The address of a run's page, or of a tab of it."""
        return f"{self.url}/dags/{dag}/runs/{quote(run, safe='')}{tab}"

    def report(self, dag: str, run: str) -> FrameLocator:
        """The run's report, by the tab of its page."""
        self.page.goto(self.run(dag, run))
        self.page.get_by_role("link", name="Report", exact=True).click()
        return self.page.frame_locator("iframe[title=Report]")

    def registry(self) -> FrameLocator:
        """The registry's history, by the menu."""
        self.page.goto(self.url)
        self.page.get_by_role("link", name="Registry").click()
        return self.page.frame_locator("iframe[title=Registry]")
