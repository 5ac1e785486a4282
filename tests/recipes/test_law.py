"""The planted law: what it says can be won, against answers by hand, simulation, and an oracle that counts symbols."""

from collections import Counter
from math import sqrt

import numpy as np
import pytest

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
    decided = [law.classes[law.mass({m: shown.get(m) for m in law.channels}).argmax()] for _, shown in draws]
    right = np.mean([label == best for (label, _), best in zip(draws, decided, strict=True)])
    assert right == pytest.approx(law.scores["all"], abs=3 * sqrt(0.25 / DRAWS))
    for modality in law.channels:
        pairs = [(shown.get(modality), label) for label, shown in draws]
        seen = Counter(pairs[: DRAWS // 2])
        right = np.mean([commonest(seen, symbol) == label for symbol, label in pairs[DRAWS // 2 :]])
        assert right == pytest.approx(law.scores[modality], abs=3 * sqrt(0.5 / DRAWS))


@pytest.mark.parametrize("name", PLANTED)
def test_together_modalities_win_clearly_more_than_any_alone(name: str) -> None:
    law = recipe(name).law
    assert law.scores["all"] >= max(law.scores[m] for m in law.channels) + 0.15
