"""Promoters at once, and promoters that die: one winner a round, and never two versions of the same content."""

import multiprocessing
import pickle
import signal
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Overtaken
from tasks.promote import mirror as mirroring
from tasks.promote import promote as promoting
from tasks.promote import registry
from tasks.promote.claim import Claim, read_claim
from tasks.promote.mirror import mirror
from tasks.promote.promote import crown, promote
from tasks.promote.rollback import rollback
from tasks.promote.tracking import connect
from tasks.run.git import git
from tasks.run.settings import Settings
from tasks.run.workspace import workspace
from tests.deaths import CONTEXT, PATIENCE_S, alone, at_once, dies
from tests.promote.conftest import Project

ROUNDS = 50


def _promoter(s: Settings, run: str, commit: str, barrier: Barrier, results: Any) -> None:
    """Claim the next reign each round, as if each round had its own night."""
    with workspace(s, commit, run) as work:
        claim = read_claim(work, run, commit, "gate")
        for number in range(ROUNDS):
            barrier.wait(timeout=PATIENCE_S)
            closed = git("commit-tree", "HEAD^{tree}", "-p", "HEAD", stdin=f"Close {run}-{number}\n", cwd=work)
            tonight = _against(replace(claim, commit=closed), registry.champion(s.central), f"{run}-{number}")
            barrier.wait(timeout=PATIENCE_S)  # both verdicts are about the same champion
            results.put((number, run, _told(s.central, work, tonight)))


def _against(claim: Claim, reign: Any, run: str) -> Claim:
    """The claim of another night: with other content, judged against this champion."""
    verdict = {**claim.verdict, "champion": {"number": reign.number, "version": reign.version}}
    return replace(claim, run=run, verdict=verdict, bundle=f"bundle of {run}")


def _told(central: str, work: Path, claim: Claim) -> str:
    try:
        return str(crown(central, work, claim)["version"])
    except Overtaken as overtaken:
        return f"overtaken: {overtaken}"


def test_two_promoters_from_a_barrier_make_one_champion_a_round(project: Project) -> None:
    s = project.s
    promote(s, "night-1", project.close("night-1", "a"), "gate")
    patch = project.close("left", "b", 1, "v1.0.0")
    project.write("params.yaml", "seed: 1\n")
    minor = project.close("right", "c", 1, "v1.0.0")
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    both = [
        context.Process(target=_promoter, args=(s, run, commit, barrier, results), daemon=True)
        for run, commit in (("left", patch), ("right", minor))
    ]
    for process in both:
        process.start()
    told = [results.get(timeout=PATIENCE_S) for _ in range(2 * ROUNDS)]
    for process in both:
        process.join(timeout=PATIENCE_S)
        assert process.exitcode == 0
    reigns = registry.history(s.central)
    assert [reign.number for reign in reigns] == list(range(1, ROUNDS + 2))
    for number in range(ROUNDS):
        _one_winner(reigns[number + 1], {run: text for at, run, text in told if at == number})
    assert [reign.trailers["Previous"] for reign in reigns[1:]] == [reign.object for reign in reigns[:-1]]  # a total order
    dates = [reign.date_s for reign in reigns]
    assert dates == sorted(set(dates))
    assert len(registry.versions(s.central)) == ROUNDS + 1  # no loser's version was left behind


def _one_winner(reign: Any, told: dict[str, str]) -> None:
    """Exactly one was promoted, and the other was told which."""
    (winner,) = (run for run, text in told.items() if not text.startswith("overtaken"))
    (lost,) = (text for run, text in told.items() if run != winner)
    assert reign.trailers["Run"].startswith(f"{winner}-")
    assert f"champion #{reign.number} is {reign.version} of run {reign.trailers['Run']}" in lost


class Nights:
    """Nights that close one after another: one tree, a commit and a claim of its own for each."""

    def __init__(self, project: Project) -> None:
        self.s, self.open = project.s, project.s.home / "open"
        first = project.close("night-0", "a")
        promote(self.s, "night-0", first, "gate")
        with workspace(self.s, first, "claim") as work:
            self.claim = replace(read_claim(work, "night-0", first, "gate"), report="of every night")

    def close(self, run: str) -> Claim:
        central = Path(self.s.central)
        tree = git("rev-parse", "nightly^{tree}", cwd=central)
        commit = git("commit-tree", tree, "-p", "nightly", stdin=f"Close {run}\n", cwd=central)
        git("update-ref", "refs/heads/nightly", commit, cwd=central)
        return _against(replace(self.claim, commit=commit), registry.champion(self.s.central), run)

    def begin(self, number: int) -> Claim:
        """Close a night, and remember it however this process ends."""
        claim = self.close(f"night-{number}")
        self.open.write_bytes(pickle.dumps((number, claim)))
        return claim

    def make_up(self) -> None:
        """Promote the remembered night again, as a retry does."""
        if self.open.is_file():
            number, claim = pickle.loads(self.open.read_bytes())  # noqa: S301  our own
            answer = self.promoted(claim)
            assert (answer["version"], answer["number"]) == (f"v1.0.{number}", number + 1)

    def promoted(self, claim: Claim, mirrored: bool = True) -> Any:
        """What the task `promote` does; without reading the claim, which is the same every night."""
        with workspace(self.s, claim.commit, "promote") as work:
            answer = crown(self.s.central, work, claim)
        if mirrored:
            mirror(self.s)
        return answer


@pytest.fixture
def nights(project: Project, monkeypatch: pytest.MonkeyPatch) -> Nights:
    monkeypatch.setattr(promoting, "level", lambda *_: "patch")  # every bundle here is the same; what is compared is not it
    monkeypatch.setattr(promoting, "pull", lambda *_: None)
    monkeypatch.setattr(mirroring, "pull", lambda *_: None)
    monkeypatch.setattr(mirroring, "_save", lambda work, to: to.mkdir() or (to / "MLmodel").write_text("model"))
    return Nights(project)


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_promoter_killed_anywhere_is_made_up_for_by_a_retry(nights: Nights) -> None:
    from mlflow import MlflowClient

    s = nights.s
    points = [
        (promoting, "announce", "before"),
        (promoting, "announce", "after"),
        (mirroring, "_save", "after"),
        (MlflowClient, "create_model_version", "before"),
        (MlflowClient, "create_model_version", "after"),
        (MlflowClient, "set_registered_model_alias", "before"),
        (MlflowClient, "set_registered_model_alias", "after"),
    ]
    for number, point in enumerate(points, 1):  # each night dies once, and is made up for at the beginning of the next
        dies(*point, lambda number=number: nights.promoted(nights.begin(number)), first=nights.make_up)  # type: ignore[misc]
    alone(nights.make_up)
    reigns = registry.history(s.central)
    assert [(reign.number, reign.version) for reign in reigns] == [(n + 1, f"v1.0.{n}") for n in range(len(points) + 1)]
    tags = registry.versions(s.central)
    assert list(tags) == [reign.version for reign in reigns]
    client, _ = connect(s)
    shown = [(found.tags["version"], found.tags["commit"]) for found in client.search_model_versions("name='fused-model'")]
    assert sorted(shown) == sorted((version, tag.commit) for version, tag in tags.items())  # each once
    assert client.get_model_version_by_alias("fused-model", "champion").tags["version"] == reigns[-1].version


@pytest.mark.parametrize(("hook", "lands"), [("pre-receive", False), ("pre-receive", True), ("post-receive", True)])
def test_a_promoter_killed_while_git_pushes_leaves_both_tags_or_none(nights: Nights, hook: str, lands: bool) -> None:
    claim = nights.close("night-1")
    pid = nights.s.home / "pid"
    script = Path(nights.s.central, "hooks", hook)
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\nkill -9 $(cat {pid})\nexit {0 if lands else 1}\n")
    script.chmod(0o755)

    def child() -> None:
        pid.write_text(str(multiprocessing.current_process().pid))
        nights.promoted(claim, mirrored=False)

    process = CONTEXT.Process(target=child)
    process.start()
    process.join(timeout=PATIENCE_S)
    assert process.exitcode == -signal.SIGKILL
    script.unlink()
    answer = nights.promoted(claim, mirrored=False)  # git may still be pushing for the dead one
    assert (answer["version"], answer["number"]) == ("v1.0.1", 2)
    assert [(r.number, r.version) for r in registry.history(nights.s.central)] == [(1, "v1.0.0"), (2, "v1.0.1")]
    assert list(registry.versions(nights.s.central)) == ["v1.0.0", "v1.0.1"]


def test_one_promotion_delivered_twice_at_once_is_one(nights: Nights) -> None:
    claim = nights.close("night-1")
    first, second = at_once(*[lambda: nights.promoted(claim, mirrored=False)] * 2)
    assert first == second
    assert (first["version"], first["promoted"]) == ("v1.0.1", True)
    assert len(registry.history(nights.s.central)) == 2


def test_a_person_and_a_night_at_once(nights: Nights) -> None:
    """A rollback's word stands whoever is faster; the night's verdict stands only when it came first."""
    s = nights.s
    nights.promoted(nights.close("night-1"), mirrored=False)
    claim = nights.close("night-2")
    both = at_once(
        lambda: rollback(s, "v1.0.0", "bad labels", "asked-1", "Ada"),
        lambda: rollback(s, "v1.0.0", "bad labels", "asked-1", "Ada"),
        lambda: _told(s.central, Path(s.central), claim),
    )
    assert both[0] == both[1]
    last = registry.champion(s.central)
    assert last is not None
    assert (last.version, last.trailers["Run"]) == ("v1.0.0", "asked-1")
    if both[2].startswith("overtaken"):
        assert (last.number, last.trailers["Rolled-back"]) == (3, "v1.0.1")
    else:
        assert (last.number, last.trailers["Rolled-back"]) == (4, "v1.0.1, v1.0.2")


NIGHT_S = 1_793_494_800  # 2026-11-01 01:00 UTC: an hour of the night that DST gives New York twice


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_order_comes_from_numbers_whatever_the_clock_says(
    nights: Nights, zone: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TZ", zone)
    clocks = [NIGHT_S, NIGHT_S + 3600, NIGHT_S - 86_400, 0, NIGHT_S + 86_400, NIGHT_S + 1]
    for number, clock in enumerate(clocks, 1):
        monkeypatch.setattr("time.time", lambda clock=clock: float(clock))
        nights.promoted(nights.close(f"night-{number}"), mirrored=False)
    rollback(nights.s, "v1.0.2", "bad labels", "asked-1", "Ada")
    reigns = registry.history(nights.s.central)
    wanted = [f"v1.0.{number}" for number in range(len(clocks) + 1)]
    assert [reign.version for reign in reigns] == [*wanted, "v1.0.2"]
    dates = [reign.date_s for reign in reigns]
    assert dates == sorted(set(dates))  # GTO orders by date: it must see the same order
    assert registry.anchor(nights.s.central) is not None
