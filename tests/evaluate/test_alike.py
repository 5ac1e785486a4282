"""Debiased alignment against brute force, its null, and what the pairs of a night say."""

from itertools import permutations

import numpy as np
import pytest

from tasks.evaluate.alike import CHANCE, FEWEST, MOST, alike, debiased_cka
from tasks.evaluate.scores import Judged, Sureness
from tasks.features import Features
from tasks.targets import Output

SURE = Sureness(100, 0.95, 0)


def hsic(k: np.ndarray, other: np.ndarray) -> float:
    """The U-statistic that the unbiased estimator is, over all ordered quadruples (Song et al. 2012, theorem 2)."""
    terms = [k[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q]) for i, j, q, r in permutations(range(len(k)), 4)]
    return float(np.mean(terms))


def test_alignment_is_that_of_brute_force():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 4))
    y = np.concatenate([x[:, :2] + 0.5 * rng.normal(size=(9, 2)), rng.normal(size=(9, 3))], axis=1)
    k, other = x @ x.T, y @ y.T
    wanted = hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other))
    assert debiased_cka(x, y) == pytest.approx(wanted)


def test_alignment_knows_rotations_from_noise():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 512))
    turn = np.linalg.qr(rng.normal(size=(512, 512)))[0]
    assert debiased_cka(x, 3 * x @ turn) == pytest.approx(1)
    found = [debiased_cka(rng.normal(size=(200, 512)), rng.normal(size=(200, 512))) for _ in range(20)]
    assert np.abs(found).max() < 0.1  # plain alignment is 0.7
    assert debiased_cka(x, np.ones((200, 3))) == 0


class Night:
    """Samples of three classes whose features hold the class, a cause that `audio` and `image` may share, and noise."""

    def __init__(self, samples=300, shared=0.0, per_group=1, seed=0):
        rng = np.random.default_rng(seed)
        self.truth = rng.integers(0, 3, samples)
        cause = rng.normal(size=(samples, 6))
        self.features, answers = {}, {}
        for name in ("audio", "image", "text"):
            own = rng.normal(size=(samples, 6))
            part = shared if name != "text" else 0.0
            vectors = part * cause + (1 - part) * own + 4 * np.eye(3)[self.truth] @ rng.normal(size=(3, 6))
            tokens = np.repeat(vectors[:, None], 2, axis=1).astype(np.float32)
            self.features[name] = Features(tokens, np.ones((samples, 2), bool), np.zeros((samples, 2), np.float32))
            luck = part * cause[:, 0] + (1 - part) * own[:, 0]
            answers[f"alone-{name}"] = np.eye(3)[np.where(luck < 0.5, self.truth, (self.truth + 1) % 3)]
        groups = np.array([f"g{i // per_group:04d}" for i in range(samples)], object)
        self.judged = Judged(self.truth, groups, answers, dict.fromkeys(answers, 1), Output("classification", ("a", "b", "c")))

    def pairs(self, sure=SURE):
        found = alike(self.judged, self.features, np.arange(len(self.truth)), sure)
        return {"-".join(pair["pair"]): pair for pair in found}


def test_what_two_encoders_share_beyond_the_class_is_seen():
    found = Night(shared=0.9).pairs()
    assert list(found) == ["audio-image", "audio-text", "image-text"]
    assert found["audio-image"]["cka"] > 0.8
    assert found["audio-image"]["p"] <= 0.01
    assert found["audio-image"]["errors"] > 0.5
    assert found["audio-image"]["errors_p"] <= 0.01
    assert abs(found["audio-text"]["cka"]) < 0.1  # the class, which both show, is no part of it


def test_permutations_cover_what_chance_does():
    nights = [pair for seed in range(20) for pair in Night(samples=40, seed=seed).pairs().values()]
    wrong = np.mean([pair["p"] <= 0.05 for pair in nights]), np.mean([pair["errors_p"] <= 0.05 for pair in nights])
    assert max(wrong) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(nights))
    above = np.mean([pair["cka"] > pair["chance"] for pair in nights])
    assert above == pytest.approx(1 - CHANCE, abs=3 * np.sqrt(0.05 * 0.95 / len(nights)))


def test_a_group_counts_once_and_no_more_samples_than_needed():
    assert Night(per_group=3).pairs()["audio-text"]["samples"] == 100
    assert Night(samples=700).pairs()["audio-text"]["samples"] == MOST
    assert Night(samples=FEWEST - 1).pairs() == {}


def test_missing_samples_are_left_out_and_what_stands_there_does_not_matter():
    night = Night()
    body = night.features["image"]
    body.mask[:200] = False
    before = night.pairs()
    assert before["audio-image"]["samples"] == before["image-text"]["samples"] == 100
    body.tokens[:200] = np.nan
    assert night.pairs() == before


def test_only_judged_samples_are_looked_at():
    night, wanted = Night(), Night().pairs()
    night.features = {
        name: Features(*(np.concatenate([np.full_like(part[:7], 0), part]) for part in (body.tokens, body.mask, body.time)))
        for name, body in night.features.items()
    }
    assert {"-".join(p["pair"]): p for p in alike(night.judged, night.features, np.arange(7, 307), SURE)} == wanted


@pytest.mark.parametrize("kind", ["regression", "multilabel"])
def test_targets_that_are_no_classes_are_compared_within_what_is_alike(kind):
    night = Night(shared=0.9)
    judged, rng = night.judged, np.random.default_rng(1)
    luck = {name: (judged.predicted(name) != night.truth) for name in judged.answers}
    if kind == "regression":
        truth = night.truth + rng.uniform(0, 0.1, len(night.truth))
        said = {name: (truth + 3.0 * wrong)[:, None] for name, wrong in luck.items()}
        output = Output(kind)
    else:
        truth = np.eye(3, dtype=np.int64)[night.truth]
        said = {name: np.where(wrong[:, None], 1.0 - truth, truth) for name, wrong in luck.items()}
        output = Output(kind, ("a", "b", "c"))
    night.judged = Judged(truth, judged.groups, said, judged.parameters, output)
    found, wanted = night.pairs(), Night(shared=0.9).pairs()
    assert found["audio-image"]["cka"] > 0.5
    assert found["audio-image"]["p"] <= 0.01
    assert found["audio-image"]["errors"] > 0.5
    assert found["audio-text"]["samples"] == 300
    if kind == "multilabel":  # the sets stand for the classes
        for pair, body in wanted.items():
            assert {key: found[pair][key] for key in ("cka", "errors")} == pytest.approx(
                {key: body[key] for key in ("cka", "errors")}
            )
