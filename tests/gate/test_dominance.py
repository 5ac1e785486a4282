"""The row `dominance`: a warning where fusing wins little, blocking where it loses or where a modality has gone silent."""

import re

import numpy as np
import pytest

from tasks.gate.evidence import Evidence
from tasks.gate.rows.dominance import judge
from tasks.params import Gate
from tasks.targets import Output
from tests.gate.nights import LATER, Night, one_hot, shares


def night(seed, mine, theirs, n=1600, share=0.9):
    """A night whose candidate and champion are right in 0.9, and in so much less without audio and without image."""
    found = Night(n=n, champion=share, anchor=share, registry=LATER)
    rng = np.random.default_rng(seed)
    luck = np.repeat(rng.random(n // 2), 2)  # groups stand or fall together
    for who, lost in (("candidate", mine), ("champion", theirs)):
        own = np.where(rng.random(n) < 0.9, luck, rng.random(n))  # a tenth is decided anew
        answers = {m: one_hot(np.where(own < share - less, found.truth, 1 - found.truth)) for m, less in lost.items()}
        found.rest[who], whole = answers, one_hot(np.where(own < share, found.truth, 1 - found.truth))
        if who == "candidate":
            found.mine = whole
        else:
            found.reigning = dict.fromkeys(("champion", "anchor"), whole)
    return found


@pytest.mark.parametrize(
    ("mine", "theirs", "verdict"),
    [
        ({"audio": 0.0, "image": 0.2}, {"audio": 0.15, "image": 0.2}, "fail"),
        ({"audio": 0.15, "image": 0.2}, {"audio": 0.15, "image": 0.2}, "pass"),
        ({"audio": 0.1, "image": 0.2}, {"audio": 0.15, "image": 0.2}, "pass"),  # two thirds of it are left
        ({"audio": 0.0, "image": 0.2}, {"audio": 0.01, "image": 0.2}, "pass"),  # the champion did hardly need it
        ({"audio": 0.3, "image": 0.2}, {"audio": 0.15, "image": 0.2}, "pass"),
        ({"image": 0.2}, {"audio": 0.15, "image": 0.2}, "pass"),  # the night has no audio any more: one in common is the whole
        ({}, {}, "pass"),  # nobody was asked
    ],
)
def test_a_modality_that_went_silent_since_the_champion_stops_the_candidate(mine, theirs, verdict):
    found, rows = night(0, mine, theirs).judge()
    row = rows["dominance"]
    assert (row["verdict"], row["blocking"]) == (verdict, verdict == "fail")
    assert found["verdict"] == "reject" or verdict == "pass"
    if verdict == "fail":
        assert row["high"] < row["needed"] == 0.0
        assert re.search(
            r"without audio the champion v1\.1\.0 loses 0\.1\d+, the candidate 0\.000 on 1600 .* p = 0\.000 ", row["reason"]
        )
    else:
        assert "mean over alone-image" in row["reason"]


def test_a_modality_that_the_candidate_does_not_even_use_counts_nothing():
    found, rows = night(0, {"audio": 0.15}, {"audio": 0.15, "image": 0.2}).judge()
    row = rows["dominance"]
    assert (row["verdict"], row["blocking"], found["verdict"]) == ("fail", True, "reject")
    assert re.search(r"without image the champion v1\.1\.0 loses 0\.2\d+, the candidate 0\.000 ", row["reason"])


@pytest.mark.parametrize(
    ("mine", "verdict"),
    [
        ({"audio": 0.3, "image": 0.0}, "fail"),  # it ignores all that the champion has
        ({"audio": 0.1, "image": 0.08}, "pass"),  # far less than half of that, and yet it counts
        ({"image": 0.4}, "pass"),  # it has nothing else either
    ],
)
def test_what_was_all_that_the_champion_has_must_count_in_the_candidate(mine, verdict):
    planted = night(0, mine, {"image": 0.4})
    planted.shares = shares(audio=0.3, image=-0.04)  # its upper bound is 0.01
    found, rows = planted.judge()
    row = rows["dominance"]
    assert (row["verdict"], row["blocking"]) == (verdict, verdict == "fail")
    if verdict == "fail":
        assert found["verdict"] == "reject"
        assert row["high"] < row["needed"] == 0.0
        assert "image counts less than gate.margin, and was all that the champion has, with p = 0.000" in row["reason"]


def test_what_another_modality_tells_as_well_is_not_missed_and_yet_used():
    planted = night(0, {"audio": 0.0, "image": 0.0}, {"image": 0.4})
    planted.shares = shares(audio=0.2, image=0.2)
    assert planted.judge()[1]["dominance"]["verdict"] == "pass"


def test_a_modality_that_counts_less_in_a_candidate_that_is_surely_better_is_only_told():
    planted = night(0, {"audio": 0.0, "image": 0.2}, {"audio": 0.15, "image": 0.2})
    planted.mine = planted.rest["candidate"]["audio"] = one_hot(planted.truth)
    found, rows = planted.judge()
    row = rows["dominance"]
    assert (row["verdict"], row["blocking"], found["verdict"]) == ("fail", False, "promote")
    assert "it only warns, since the candidate is surely better than v1.1.0" in row["reason"]


def simulated(seed, mine, theirs, groups=200):
    """The row's verdict of such a night, two samples to a group, without files."""
    rng = np.random.default_rng(seed)
    group, n = np.repeat(np.arange(groups), 2), 2 * groups
    luck = rng.random(groups)[group]
    ids, answers = [f"s{i:04d}" for i in range(n)], {}
    for who, lost in (("candidate", mine), ("champion", theirs)):
        own = np.where(rng.random(n) < 0.9, luck, rng.random(n))
        answers[who] = {m: np.eye(2)[(own >= 0.9 - less).astype(int)] for m, less in {"": 0.0, **lost}.items()}
    cases = {"samples": n, "groups": groups, "gain_over_best_single": None}
    evidence = Evidence(
        gate=Gate(metric="accuracy", margin=0.02),
        draws=200,
        seed=seed,
        target="label",
        output=Output("classification", ("cat", "dog")),
        ids=ids,
        truth=np.zeros(n, np.int64),
        groups=group.astype(object),
        candidate=answers["candidate"].pop(""),
        reigning={"champion": (ids, answers["champion"].pop(""))},
        arrived={"champion": np.zeros(n, bool)},
        versions={"champion": "v1.0.0", "anchor": "v1.0.0"},
        slices={},
        constant=0,
        scores={"complete": cases},
        expected=ids,
        found=ids,
        without=answers,
    )
    return judge(evidence).verdict


def test_of_candidates_whose_modalities_count_just_half_few_are_stopped():
    theirs = {"audio": 0.15, "image": 0.2, "text": 0.2}
    just = {m: lost / 2 for m, lost in theirs.items()}
    assert sum(simulated(seed, just, theirs) == "fail" for seed in range(200)) <= 15  # 5 % and 1.65 standard errors
    assert sum(simulated(seed, theirs, theirs) == "fail" for seed in range(50)) == 0
    assert sum(simulated(seed, {**theirs, "text": 0.0}, theirs) == "fail" for seed in range(50)) == 50
    weak = {"audio": 0.1, "image": 0.1, "text": 0.1}
    assert sum(simulated(seed, {**weak, "text": 0.0}, weak) == "fail" for seed in range(50)) >= 45


@pytest.mark.parametrize(("high", "blocks"), [(-0.03, True), (-0.01, False), (0.01, False)])
def test_a_fused_model_that_is_surely_worse_than_one_modality_is_stopped(high, blocks):
    found = Night()
    found.gain = {"value": high - 0.02, "low": high - 0.04, "high": high, "single": "alone-image"}
    verdict, rows = found.judge()
    assert (rows["dominance"]["verdict"], rows["dominance"]["blocking"]) == ("fail", blocks)
    assert verdict["verdict"] == ("reject" if blocks else "promote")
    assert ("one modality alone is surely better by more than 0.020" in rows["dominance"]["reason"]) == blocks
