"""How often the deciding row is wrong, over simulated nights whose truth is known."""

import numpy as np
import pytest

from tasks.gate.evidence import Evidence
from tasks.gate.rows.champion import judge
from tasks.params import Gate
from tasks.targets import Output

GROUPS, SIZE, NIGHTS = 150, 3, 300


def night(seed, difference, mode="non-inferior"):
    """Candidate and champion of known accuracies, 0.85 + difference and 0.85; errors come in whole groups partly."""
    rng = np.random.default_rng(seed)
    ids = [f"s{i:04d}" for i in range(GROUPS * SIZE)]
    group = np.repeat(np.arange(GROUPS), SIZE)
    hard = np.where(rng.random(GROUPS) < 0.5, rng.random(GROUPS), np.nan)[group]  # half the groups stand or fall together
    luck = np.where(np.isnan(hard), rng.random(len(ids)), hard)
    mine = np.where(rng.random(len(ids)) < 0.9, luck, rng.random(len(ids)))  # a tenth is decided anew: discordance
    truth = np.zeros(len(ids), np.int64)
    return Evidence(
        gate=Gate(metric="accuracy", margin=0.02, mode=mode),
        draws=400,
        seed=seed,
        target="label",
        output=Output("classification", ("cat", "dog")),
        ids=ids,
        truth=truth,
        groups=group.astype(object),
        candidate=np.eye(2)[(mine >= 0.85 + difference).astype(int)],
        reigning={"champion": (ids, np.eye(2)[(luck >= 0.85).astype(int)]), "anchor": ([], np.zeros((0, 2)))},
        versions={"champion": "v1.0.0", "anchor": "v1.0.0"},
        constant=0,
        scores={},
        expected=ids,
        found=ids,
    )


@pytest.mark.parametrize(("difference", "mode"), [(-0.02, "non-inferior"), (0.0, "better")])
def test_a_candidate_exactly_at_the_limit_passes_about_one_night_in_twenty(difference, mode):
    passed = sum(judge(night(seed, difference, mode)).verdict == "pass" for seed in range(NIGHTS))
    assert 0.02 <= passed / NIGHTS <= 0.09  # 0.05 ± three standard errors


def test_a_candidate_much_worse_never_passes_and_one_much_better_does():
    assert not any(judge(night(seed, -0.08)).verdict == "pass" for seed in range(50))
    assert all(judge(night(seed, 0.08)).verdict == "pass" for seed in range(50))
