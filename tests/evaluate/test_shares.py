"""What each modality carries: against brute force over all orders, the axioms, and planted truth."""

from itertools import combinations, permutations

import numpy as np
import pytest

from tasks.evaluate.scores import Judged, Sureness
from tasks.evaluate.shares import MOST, Asked, asked, shares_of_answers, shares_of_score
from tasks.features import Features
from tasks.targets import Output

CHOICE = Output("classification", ("cat", "dog", "elk"))
SURE = Sureness(draws=200, confidence=0.95, seed=0)


def subsets(names):
    return [frozenset(s) for size in range(len(names) + 1) for s in combinations(names, size)]


def by_orders(names, worth):
    """Each modality's step, averaged over all orders in which modalities may come."""
    orders = list(permutations(names))
    return {
        m: sum(worth[frozenset(o[: o.index(m) + 1])] - worth[frozenset(o[: o.index(m)])] for o in orders) / len(orders)
        for m in names
    }


def told(names, output, n=40, seed=0):
    rng = np.random.default_rng(seed)
    raw = {s: rng.random((n, output.width)) for s in subsets(names)}
    return Asked(names, {s: a / a.sum(axis=1, keepdims=True) if output is CHOICE else a for s, a in raw.items()})


def judged(output, n=40, seed=1):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n) if output.is_number else rng.integers(0, 2, (n, 3)) if output.is_set else rng.integers(0, 3, n)
    return Judged(truth, np.array([f"g{i % 15}" for i in range(n)], object), {}, {}, output)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("output", "metric"),
    [
        (CHOICE, "accuracy"),
        (CHOICE, "auroc"),
        (Output("multilabel", ("a", "b", "c")), "macro_f1"),
        (Output("regression"), "neg_root_mean_squared_error"),
    ],
)
def test_shares_are_those_of_all_orders_and_add_up(count, output, metric):
    names = tuple("abcde"[:count])
    found, cases = told(names, output), judged(output)
    scores = shares_of_score(found, cases, metric, SURE)
    answers = {"|".join(sorted(s)): a for s, a in found.answers.items()}
    of = Judged(cases.truth, cases.groups, answers, {}, output)
    worth = {s: of.tally(metric, "|".join(sorted(s))).value for s in found.answers}
    wanted = by_orders(names, worth)
    shares = {m: row["share"]["value"] for m, row in scores["modalities"].items()}
    assert shares == pytest.approx(wanted, abs=1e-12)
    assert sum(shares.values()) == pytest.approx(scores["whole"] - scores["nothing"], abs=1e-12)
    for m, row in scores["modalities"].items():
        assert row["lost"]["value"] == pytest.approx(worth[frozenset(names)] - worth[frozenset(names) - {m}], abs=1e-12)
        assert row["share"]["low"] <= row["share"]["high"]


def test_shares_of_an_answer_are_those_of_all_orders():
    names = ("a", "b", "c", "d")
    found = told(names, CHOICE)
    shares, whole = shares_of_answers(found, CHOICE), found.answers[frozenset(names)]
    for row in range(len(whole)):
        said = whole[row].argmax()
        wanted = by_orders(names, {s: a[row, said] for s, a in found.answers.items()})
        assert {m: values[row] for m, values in shares.items()} == pytest.approx(wanted, abs=1e-12)


def test_shares_of_several_labels_speak_for_what_was_decided():
    output, names = Output("multilabel", ("a", "b")), ("x",)
    found = Asked(names, {frozenset(): np.array([[0.5, 0.5]]), frozenset(names): np.array([[0.9, 0.2]])})
    assert shares_of_answers(found, output)["x"] == pytest.approx([((0.9 - 0.5) + (0.8 - 0.5)) / 2])


def test_what_a_value_owes_to_each_is_in_its_own_unit():
    found = Asked(("x",), {frozenset(): np.array([[50.0]]), frozenset("x"): np.array([[42.0]])})
    assert shares_of_answers(found, Output("regression"))["x"] == pytest.approx([-8.0])


class Sum:
    """A model whose answer is the sum of what it is given, so that a modality's share is its own value."""

    def predict(self, features):
        return {"size": sum(np.where(body.mask[:, :1], body.tokens[:, 0, :1], 0.0) for body in features.values())}


def features(values, there=True):
    n = len(values)
    mask = np.broadcast_to(np.asarray(there).reshape(-1, 1), (n, 1)).copy()
    return Features(np.array(values, np.float32).reshape(n, 1, 1), mask, np.zeros((n, 1), np.float32))


def test_a_missing_modality_owes_nothing_and_the_others_what_they_add():
    given = {"a": features([1.0, 2.0]), "b": features([4.0, 0.0], [True, False])}
    found = asked(Sum().predict, given, "size")
    shares = shares_of_answers(found, Output("regression"))
    assert shares["a"] == pytest.approx([1.0, 2.0])
    assert shares["b"] == pytest.approx([4.0, 0.0])


def test_so_many_modalities_are_not_asked_in_every_subset():
    given = {f"m{i}": features([1.0]) for i in range(MOST + 1)}
    assert asked(Sum().predict, given, "size") is None
    del given["m0"]
    assert len(asked(Sum().predict, given, "size").answers) == 2**MOST


def test_who_decided_an_answer_is_counted_right_and_wrong():
    names = ("a", "b")
    sure, unsure, other = [0.8, 0.1, 0.1], [0.4, 0.3, 0.3], [0.1, 0.8, 0.1]
    answers = {frozenset(): [unsure] * 3, frozenset("a"): [sure, unsure, sure], frozenset("b"): [unsure, other, unsure]}
    answers[frozenset(names)] = [sure, other, sure]
    found = Asked(names, {s: np.array(a) for s, a in answers.items()})
    cases = Judged(np.array([0, 1, 2]), np.array(["g", "h", "i"], object), {}, {}, CHOICE)
    rows = shares_of_score(found, cases, "accuracy", SURE)["modalities"]
    assert {m: (row["right"], row["wrong"]) for m, row in rows.items()} == {"a": (1, 1), "b": (1, 0)}
