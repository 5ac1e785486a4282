"""The planted law: what it says can be won, against answers by hand, simulation, and an oracle that counts symbols."""

from collections import Counter
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, r2_score

from data.recipes.law import Law, noisy
from tests.recipes.night import PLANTED, recipe

DRAWS = 4000


def bits(wrong: float, missing: float) -> Law:
    """One bit, shown by two modalities."""
    channel = {bit: noisy(bit, "01", wrong) for bit in "01"}
    return Law({"0": 0.5, "1": 0.5}, {"0": "no", "1": "yes"}, {"left": channel, "right": channel}, missing)


def test_of_two_witnesses_who_err_alike_the_second_adds_nothing() -> None:
    found = bits(0.2, 0.0).scores
    assert found == pytest.approx({"all": 0.8, "left": 0.8, "right": 0.8, "nothing": 0.5})


def test_what_is_missing_costs_half_of_what_it_tells() -> None:
    found = bits(0.2, 0.1).scores
    assert found["left"] == pytest.approx((0.8 + 0.5 * 0.1) / 1.1)  # one in eleven samples that have anything lacks the left
    assert found["all"] == pytest.approx(0.8)


def test_an_interaction_is_in_no_modality_alone() -> None:
    states = [a + b for a in "01" for b in "01"]
    law = Law(
        dict.fromkeys(states, 0.25),
        {state: "same" if state[0] == state[1] else "other" for state in states},
        {"left": {s: noisy(s[0], "01", 0.1) for s in states}, "right": {s: noisy(s[1], "01", 0.2) for s in states}},
        missing=0.0,
    )
    assert law.scores == pytest.approx({"all": 0.9 * 0.8 + 0.1 * 0.2, "left": 0.5, "right": 0.5, "nothing": 0.5})


@pytest.mark.parametrize("name", PLANTED)
def test_probabilities_add_up(name: str) -> None:
    law = recipe(name).law
    assert sum(law.prior.values()) == pytest.approx(1)
    assert set(law.prior) == set(law.labels)
    for channel in law.channels.values():
        assert set(channel) == set(law.prior)
        assert [sum(symbols.values()) for symbols in channel.values()] == pytest.approx([1] * len(channel))


def commonest(seen: Counter[tuple[str | None, str]], symbol: str | None) -> str:
    """An oracle that knows nothing of the law: the label that this symbol was seen with most often."""
    return max((count, label) for (other, label), count in seen.items() if other == symbol)[1]


@pytest.mark.parametrize("name", PLANTED)
def test_simulated_samples_score_what_the_law_says(name: str) -> None:
    law, rng = recipe(name).law, np.random.default_rng(0)
    draws = [law.draw(rng) for _ in range(DRAWS)]
    labels = [law.labels[state] for state, _ in draws]
    masses = [law.mass({m: shown.get(m) for m in law.channels}) @ law.labelled for _, shown in draws]
    right = np.mean([label == law.classes[mass.argmax()] for label, mass in zip(labels, masses, strict=True)])
    assert right == pytest.approx(law.scores["all"], abs=3 * sqrt(0.25 / DRAWS))
    for modality in law.channels:
        pairs = [(shown.get(modality), label) for (_, shown), label in zip(draws, labels, strict=True)]
        seen = Counter(pairs[: DRAWS // 2])
        right = np.mean([commonest(seen, symbol) == label for symbol, label in pairs[DRAWS // 2 :]])
        assert right == pytest.approx(law.scores[modality], abs=3 * sqrt(0.5 / DRAWS))


def test_simulated_alarms_are_found_as_precisely_as_the_law_says() -> None:
    planted, rng = recipe("monitoring"), np.random.default_rng(1)
    law, best = planted.law, planted.best["event", "auprc"]
    draws = [law.draw(rng) for _ in range(DRAWS)]
    alarms = np.array([law.labels[state] == "alarm" for state, _ in draws])
    masses = np.array([law.mass({m: shown.get(m) for m in law.channels}) @ law.labelled for _, shown in draws])
    chances = masses[:, law.classes.index("alarm")] / masses.sum(axis=1)
    assert average_precision_score(alarms, chances) == pytest.approx(best["all"], abs=0.02)
    assert best["nothing"] == pytest.approx(0.5)
    assert [best[m] for m in law.channels] == pytest.approx([0.5] * 3)


@pytest.mark.parametrize("name", ["monitoring", "navigation"])
def test_simulated_values_are_explained_as_far_as_the_law_says(name: str) -> None:
    planted, rng = recipe(name), np.random.default_rng(2)
    law, best = planted.law, planted.best[planted.number, "r2"]
    draws = [law.draw(rng) for _ in range(3 * DRAWS)]
    truth = np.array([rng.normal(law.values[state], law.spread) for state, _ in draws])
    for seen in ([*law.channels], *([m] for m in law.channels)):
        keys = [tuple(shown.get(m) for m in seen) for _, shown in draws]
        _, at = np.unique(np.array([repr(key) for key in keys]), return_inverse=True)
        means = np.bincount(at, truth) / np.bincount(at)  # an oracle that knows nothing of the law: the mean of what looks so
        answers = means[at]
        wanted = best["all" if len(seen) > 1 else seen[0]]
        assert r2_score(truth, answers) == pytest.approx(wanted, abs=0.03)


def test_a_value_that_its_state_fixes_and_all_see_is_explained_but_for_its_spread() -> None:
    law = replace(bits(0.0, 0.0), values={"0": -1.0, "1": 1.0}, spread=0.5)
    assert law.explained(["left"]) == pytest.approx(1 - 0.25 / 1.25)
    assert law.explained([]) == pytest.approx(0)
    assert law.precision(["left"], "yes") == pytest.approx(1)
    assert law.precision([], "yes") == pytest.approx(0.5)
    assert bits(0.2, 0.0).precision(["left"], "yes") == pytest.approx(0.8 * 0.8 + 0.2 * 0.5)  # by hand: two steps
    assert law.precision([], "yes", share=0.3) == pytest.approx(0.3)
    rarer = bits(0.2, 0.0).precision(["left"], "yes", share=0.2)  # 0.16 of 0.32 are found first, then 0.04 of the rest
    assert rarer == pytest.approx(0.8 * 0.16 / (0.16 + 0.16) + 0.2 * 0.2)


@pytest.mark.parametrize("name", PLANTED)
def test_together_modalities_win_clearly_more_than_any_alone(name: str) -> None:
    for best in recipe(name).best.values():
        assert best["all"] >= max(score for seen, score in best.items() if seen != "all") + 0.15
