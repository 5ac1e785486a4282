"""Two promoters at once: exactly one winner a round, and the loser is told who won."""

import multiprocessing
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from tasks.errors import Refused
from tasks.promote import registry
from tasks.promote.claim import Claim, read_claim
from tasks.promote.promote import crown, promote
from tasks.run.git import git
from tasks.run.settings import Settings
from tasks.run.workspace import workspace
from tests.promote.conftest import Project

ROUNDS = 20


def _promoter(s: Settings, run: str, commit: str, barrier: Barrier, results: Any) -> None:
    """Claim reign #2 each round, as if each round had its own night."""
    with workspace(s, commit, run) as work:
        claim = read_claim(work, run, commit, "gate")
        for number in range(ROUNDS):
            barrier.wait(timeout=60)
            results.put((number, run, _told(s.central, work, replace(claim, run=f"{run}-{number}"))))
            barrier.wait(timeout=60)
            barrier.wait(timeout=60)  # the test has looked and cleared the round


def _told(central: str, work: Path, claim: Claim) -> str:
    try:
        return str(crown(central, work, claim)["version"])
    except Refused as refusal:
        return f"refused: {refusal}"


def test_two_promoters_from_a_barrier_make_one_champion(project: Project) -> None:
    s = project.s
    promote(s, "night-1", project.close("night-1", "a"), "gate")
    patch = project.close("left", "b", 1, "v1.0.0")
    project.write("params.yaml", "seed: 1\n")
    minor = project.close("right", "c", 1, "v1.0.0")
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    both = [
        context.Process(target=_promoter, args=(s, run, commit, barrier, results), daemon=True)
        for run, commit in (("left", patch), ("right", minor))
    ]
    for process in both:
        process.start()
    winners = [_round(s.central, barrier, results) for _ in range(ROUNDS)]
    for process in both:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert set(winners) <= {"left", "right"}


def _round(central: str, barrier: Any, results: Any) -> str:
    """Let both go once; return who won, after checking that exactly one did, and clear the round."""
    barrier.wait(timeout=60)
    told = {run: (number, text) for number, run, text in (results.get(timeout=60) for _ in range(2))}
    barrier.wait(timeout=60)
    won = [run for run, (_, text) in told.items() if not text.startswith("refused")]
    assert len(won) == 1, told
    lost = next(text for run, (_, text) in told.items() if run != won[0])
    number, version = told[won[0]]
    assert f"champion #2 is {version} of run {won[0]}-{number}" in lost
    assert [(r.number, r.version) for r in registry.history(central)] == [(1, "v1.0.0"), (2, version)]
    assert list(registry.versions(central)) == ["v1.0.0", version]  # the loser's version was not left behind
    for tag in (f"fused-model@{version}", "fused-model#champion#2"):
        git("update-ref", "-d", f"refs/tags/{tag}", cwd=Path(central))
    barrier.wait(timeout=60)
    return won[0]
