"""The plain candidates: what a fusion must beat to be worth its parameters."""

from collections.abc import Iterator

from tasks.train import Candidate
from tasks.train.fit import Task, fit
from tasks.train.inputs import Inputs
from tasks.train.late import Late
from tasks.train.logistic import Logistic


def plain(train: Inputs, val: Inputs, task: Task) -> Iterator[Candidate]:
    """Fit each modality alone, combine them by late averaging, and fit a logistic or ridge regression on all."""
    parts = [
        fit(f"alone-{modality}", "alone", "mean", train.only(modality), val.only(modality), task)
        for modality in sorted(train.features)
    ]
    yield from parts
    yield Late.of(parts, val)
    yield Logistic.fit(train, val, task.outputs, task.train.balance)
