"""What a person reads at the end of a night."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.embedded.follow import Failure
from tasks.embedded.summary import Night, look_further, render


def row(name: str, verdict: str = "pass", blocking: bool = True, reason: str = "it holds", **measured: float) -> dict[str, Any]:
    values = {"measured": None, "low": None, "high": None, "needed": None, **measured}
    return {"name": name, "rule": "a rule", "verdict": verdict, "blocking": blocking, "reason": reason, **values}


def score(value: float) -> dict[str, Any]:
    return {"accuracy": {"value": value, "low": value - 0.031, "high": value + 0.028}, "parameters": 1}


CANDIDATES = {
    "alone-audio": score(0.71),
    "alone-image": score(0.702),
    "alone-text": score(0.65),
    "attention": score(0.905),
    "late": score(0.9),
    "logistic": score(0.91),
    "mean": score(0.93),
}
GAIN = {"value": 0.22, "low": 0.18, "high": 0.26, "single": "alone-audio"}


def closed(**changes: Any) -> dict[str, Any]:
    rows = [
        row("whole"),
        row("champion", reason="0.004 better than the champion " * 6, measured=0.004, low=-0.008, high=0.016, needed=-0.02),
        row("floor", "not applicable"),
        row("drift", "fail", blocking=False, reason="image.brightness is 0.41 from the reference"),
    ]
    body = {
        "outcome": "judged",
        "dry_run": False,
        "problems": [],
        "report": "/home/somebody/projects/nightloom/.nightloom/reports/manual__2026-11-21T12-15-33/index.html",
        "verdict": {
            "verdict": "promote",
            "decided_by": "champion",
            "rows": rows,
            "champion": {"number": 1, "version": "v1.0.0"},
        },
        "scores": {
            "metric": "accuracy",
            "selected": "mean",
            "samples": 360,
            "groups": 180,
            "candidates": CANDIDATES,
            "complete": {"samples": 280, "groups": 160, "candidates": CANDIDATES, "gain_over_best_single": GAIN},
        },
    }
    return {**body, **changes}


def night(state: str = "success", promoted: Any = None, **changes: Any) -> Night:
    opened = {"run": "r", "batches": ["night-2"]}
    return Night("manual__2026-11-21T12:15:33.852643+00:00", state, opened, closed(**changes), promoted)


def fits(text: str) -> None:
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 100


def test_a_promoted_night() -> None:
    text = render(night(promoted={"version": "v1.1.0", "number": 2}))
    fits(text)
    assert "verdict   promote, decided by: champion" in text
    assert "version   fused-model@v1.1.0 reigns as champion number 2" in text
    assert "champion               pass                0.004    [-0.008, 0.016]    -0.020" in text
    assert "drift (warns)          fail" in text
    assert "drift: image.brightness is 0.41 from the reference" in text


def test_the_selected_model_stands_beside_each_modality_alone() -> None:
    lines = render(night()).splitlines()
    first = next(
        i for i, line in enumerate(lines) if line.startswith("accuracy on the test set, complete cases (280 samples of 160")
    )
    names = [line.split()[0] for line in lines[first + 1 : first + 8]]
    assert names == ["mean", "alone-audio", "alone-image", "alone-text", "late", "logistic", "gain"]
    assert "0.930     [0.899, 0.958]" in lines[first + 1]
    assert "+0.220     [0.180, 0.260]" in lines[first + 7]


def test_without_complete_cases_all_cases_are_shown() -> None:
    scores = {**closed()["scores"], "complete": {"samples": 0, "groups": 0, "candidates": {}, "gain_over_best_single": None}}
    text = render(night(scores=scores))
    assert "all cases (360 samples of 180 groups)" in text
    assert "gain over" not in text


def test_a_number_and_the_other_targets_have_their_lines() -> None:
    def score(value: float) -> dict[str, Any]:
        return {"neg_mean_absolute_error": {"value": value, "low": value - 1, "high": value + 1}, "parameters": 1}

    size = {"metric": "neg_mean_absolute_error", "samples": 300, "groups": 90, "candidates": {"mean": score(-2.5)}}
    none = {"metric": "r2", "samples": 1, "groups": 1, "candidates": {}}
    text = render(night(scores={**closed()["scores"], "others": {"size": size, "age": none}}))
    fits(text)
    assert "size: neg mean absolute error -2.500 [-3.500, -1.500] on 300 test samples" in text
    assert "age: labelled in too few test samples to be scored (1)" in text
    text = render(night(scores={**size, "selected": "mean"}))
    fits(text)
    assert "mean (selected)          -2.500   [-3.500, -1.500]" in text
    assert "#" not in text


def test_what_is_small_in_its_unit_does_not_read_as_nothing() -> None:
    tiny = {"neg_mean_absolute_error": {"value": -0.00021, "low": -0.0004, "high": 0.0}, "parameters": 1}
    size = {"metric": "neg_mean_absolute_error", "samples": 300, "groups": 90, "candidates": {"mean": tiny}}
    text = render(night(scores={**size, "selected": "mean", "others": {"size": size}}))
    fits(text)
    assert "mean (selected)         -2.1e-04  [-4.0e-04, 0.000]" in text
    assert "size: neg mean absolute error -2.1e-04 [-4.0e-04, 0.000] on 300" in text


def test_a_night_that_says_no_keeps_the_champion() -> None:
    verdict = {**closed()["verdict"], "verdict": "reject"}
    text = render(night(verdict=verdict))
    assert "verdict   reject" in text
    assert "version   none: fused-model@v1.0.0 goes on" in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dry_run": True}, "none: a dry run promotes nothing"),
        ({}, "none: the verdict was yes, but `promote` did not end well"),
        (
            {"verdict": {"verdict": "reject", "decided_by": "floor", "rows": [], "champion": {}}},
            "none: there is no champion yet",
        ),
    ],
)
def test_why_there_is_no_version(changes: dict[str, Any], told: str) -> None:
    assert told in render(night(**changes))


@pytest.mark.parametrize(
    "why", [{"refused": "this content is v1.1.0, rolled back by #3: x"}, {"overtaken": "champion #3 is v1.2.0 of run x"}]
)
def test_a_yes_that_promoted_nothing_says_why(why: dict[str, str]) -> None:
    ended = night(promoted={"version": "v1.1.0", "number": 3, "promoted": False, **why})
    text = render(ended)
    fits(text)
    assert f"version   none: {', '.join(why.values())}" in text
    assert "make reproduce" not in look_further(ended, 8081, 5000)


@pytest.mark.parametrize("outcome", ["overtaken", "nothing new"])
def test_a_run_that_another_was_faster_than(outcome: str) -> None:
    text = render(night(outcome=outcome, problems=[f"{outcome}: run x (promote: night-2) was faster"]))
    fits(text)
    assert f"outcome   {outcome}: no version was made\nproblem   {outcome}: run x" in text
    assert "reigns" not in text


@pytest.mark.parametrize(
    ("answer", "promoted", "says"),
    [
        ("approved", {"version": "v1.1.0", "number": 2}, "fused-model@v1.1.0 reigns as champion number 2, told by ada"),
        ("rejected", None, "none: told by ada"),
        ("timed out", None, "none: told by ada"),
    ],
)
def test_a_persons_word_is_said(answer: str, promoted: Any, says: str) -> None:
    text = render(replace(night(promoted=promoted), approved={"answer": answer, "told": "told by ada"}))
    fits(text)
    assert f"version   {says}\n" in text


def test_nothing_new_is_said_plainly() -> None:
    text = render(Night("r", "success", {"nothing": "no batch landed since night-2"}, None, None))
    assert text.split("\n") == ["", "Nothing new: no batch landed since night-2.", "No version was made."]


def test_a_rejected_batch_is_no_failed_task() -> None:
    failure = Failure("admit", Path("/somewhere/attempt=1.log"), ("not admitted: night-2: ids: 3 ids twice",))
    told = closed(outcome="batch rejected", verdict=None, scores=None, problems=["not admitted: night-2: " + "long " * 40])
    text = render(Night("r", "failed", {"batches": ["night-2"]}, told, None, (failure,)))
    fits(text)
    assert "outcome   night-2 rejected before any model was fitted" in text
    assert "problem   not admitted: night-2: long" in text
    assert "attempt=1.log" not in text


def test_a_failed_task_says_why_and_where_its_log_is() -> None:
    failure = Failure("train.mean", Path("/somewhere/attempt=2.log"), ("decoded 3", "train.mean: no rows to train on"))
    told = closed(outcome="failed", verdict=None, scores=None, problems=["stage train@mean did not end well"])
    text = render(Night("r", "failed", {"batches": ["night-2"]}, told, None, (failure,)))
    fits(text)
    assert "train.mean failed; its log is /somewhere/attempt=2.log and ends with\n    decoded 3\n    train.mean: no" in text


def test_a_run_that_never_opened_shows_its_failed_task() -> None:
    failure = Failure("open", Path("open.log"), ("nightloom: unknown key",))
    text = render(Night("r", "failed", None, None, None, (failure,)))
    assert "r: failed" in text
    assert "nightloom: unknown key" in text


@pytest.mark.parametrize("report", [".nightloom/reports/manual__2026-11-21T12-15-33/index.html", closed()["report"], None])
def test_the_commands_to_look_further(report: str | None) -> None:
    text = look_further(night(promoted={"version": "v1.1.0", "number": 2}, report=report), 8081, 5000)
    assert max(map(len, text.splitlines())) <= 100 or "/home/somebody" in text
    assert "make reproduce VERSION=v1.1.0" in text
    assert "8081" in text
    assert (report or "make up") in text


def test_a_recipes_commands_begin_with_the_way_to_its_project() -> None:
    project = Path("/home/me/nightloom/.nightloom/recipes/diagnosis")
    lines = look_further(night(), 8081, 5000, project).splitlines()
    assert lines[1].startswith(f"cd {project}")
    assert "recipe" not in look_further(night(), 8081, 5000)
