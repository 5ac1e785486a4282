"""Tasks that are killed at their worst moment, and tasks that are delivered twice at once: one result."""

from typing import Any

import pytest

from tasks.run import close as closing
from tasks.run import nightly
from tasks.run import open as opening_of_run
from tasks.run.close import close
from tests.deaths import alone, at_once, dies
from tests.run.conftest import Project
from tests.run.test_close import Night, admitted, base, central, first, quiet
from tests.run.test_open import land, opening
from tests.run.test_stage import run

__all__ = ["base", "first", "quiet"]


@pytest.mark.parametrize(("name", "when"), [("create_ref", "before"), ("create_ref", "after"), ("_commit", "after")])
def test_a_killed_open_is_opened_once(project: Project, name: str, when: str) -> None:
    land(project, "n1", ["s1,x,one,two"])
    dies(opening_of_run, name, when, lambda: opening(project, "r1"))
    opened = alone(lambda: opening(project, "r1"))
    assert opened == alone(lambda: opening(project, "r1"))
    assert opened["batches"] == ["n1"]
    refs = central(project, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/runs")
    assert refs == f"{opened['commit']} refs/heads/runs/r1"


def test_one_run_opened_twice_at_once_is_one(project: Project) -> None:
    land(project, "n1", ["s1,x,one,two"])
    one, other = at_once(*[lambda: opening(project, "r1")] * 2)
    assert one == other
    assert one["commit"] == central(project, "rev-parse", "refs/heads/runs/r1")


def test_one_stage_twice_at_once_is_one(project: Project) -> None:
    land(project, "n1", ["s1,x,one,two"])
    opened = opening(project, "r1")
    one, other = at_once(*[lambda: run(project, opened["commit"], "profile@a", {})["lock"]] * 2)
    assert one == other
    assert run(project, opened["commit"], "profile@a", {})["lock"] == one


def test_a_close_killed_anywhere_or_delivered_twice_closes_once(first: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = first.project
    monkeypatch.setattr(closing, "_prove", lambda: None)  # the same each time, and slow

    def closed() -> Any:
        return close(quiet.settings, first.opened, first.done, admitted())

    answers = []
    for point in (
        (nightly, "compare_and_set", "before"),
        (nightly, "compare_and_set", "after"),
        (closing, "record", "before"),
        (closing, "record", "after"),
    ):
        dies(*point, closed)
        answers.append(alone(closed))
        assert answers[-1]["commit"] == central(quiet, "rev-parse", "nightly"), point
        central(quiet, "update-ref", "-d", "refs/heads/nightly")
    answers += at_once(closed, closed)
    assert answers == [answers[0]] * 6
    assert answers[0]["outcome"] == "judged"
    assert answers[0]["commit"] == central(quiet, "rev-parse", "nightly")
