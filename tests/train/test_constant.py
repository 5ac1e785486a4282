"""The loss of a constant answer is the targets' entropy and variance."""

import numpy as np
import pytest
import torch

from tasks.tables import UNLABELLED
from tasks.targets import read_target
from tasks.train.constant import constant_loss
from tasks.train.rows import Rows


def test_it_is_entropy_for_classes_and_labels_and_variance_for_values() -> None:
    targets = {
        "kind": read_target("kind", {"weight": 2.0}),
        "signs": read_target("signs", {"type": "multilabel"}),
        "size": read_target("size", {"type": "regression"}),
    }
    kinds = torch.tensor([0] * 6 + [1] * 3 + [2] * 1 + [UNLABELLED] * 2)
    signs = torch.tensor([[1, 0]] * 3 + [[0, 0]] * 9)
    sizes = torch.tensor([1.0, -1.0] * 5 + [torch.nan] * 2)
    rows = Rows({}, {}, {}, {"kind": kinds, "signs": signs, "size": sizes}, torch.arange(12))

    found = constant_loss(rows, {"kind": [0.6, 0.3, 0.1], "signs": [0.25, 0.0]}, targets)

    shares = np.array([0.6, 0.3, 0.1])
    entropy, halves = -(shares * np.log(shares)).sum(), -(0.25 * np.log(0.25) + 0.75 * np.log(0.75)) / 2
    assert found == pytest.approx(2 * entropy + halves + 1.0, abs=1e-4)
