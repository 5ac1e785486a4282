"""The best fusion against late averaging and against chance, on hand-made predictions."""

import numpy as np
import pytest

from tasks.evaluate.interaction import interaction
from tasks.evaluate.scores import Judged, Sureness
from tasks.targets import Output

SURE = Sureness(300, 0.95, 0)


def judged(right: dict[str, int], samples: int = 200, groups: int = 100) -> Judged:
    """Candidates that are right on so many of the samples, whose truth is 0 and 1 in turn."""
    truth = np.arange(samples) % 2
    order = np.random.default_rng(0).permutation(samples)
    answers = {name: np.eye(2)[np.where(order < hits, truth, 1 - truth)] for name, hits in right.items()}
    return Judged(truth, np.arange(samples) % groups, answers, dict.fromkeys(right, 1), Output("classification", ("a", "b")))


def test_the_best_fusion_on_validation_data_is_compared():
    night = judged({"mean": 190, "concat": 200, "late": 110, "alone-a": 100, "alone-b": 96})
    found = interaction(night, {"mean": 0.9, "concat": 0.8}, 0, "accuracy", SURE)
    assert found["joint"] == "mean"
    assert found["over_late"]["value"] == pytest.approx(0.4)
    assert found["over_late"]["low"] > 0.3
    assert set(found["over_prior"]) == {"mean", "alone-a", "alone-b"}
    assert found["over_prior"]["mean"]["value"] == pytest.approx(0.45)
    assert found["over_prior"]["alone-b"]["value"] == pytest.approx(-0.02)
    assert found["over_prior"]["alone-a"]["low"] <= 0


def test_without_a_fusion_or_complete_cases_nothing_is_claimed():
    night = judged({"mean": 190, "late": 110, "alone-a": 100})
    assert interaction(night, {}, 0, "accuracy", SURE) is None
    assert interaction(night.where(np.arange(200) % 100 == 0), {"mean": 0.9}, 0, "accuracy", SURE) is None
