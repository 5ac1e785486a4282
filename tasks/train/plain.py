"""The plain candidates: what a fusion must beat to be worth its parameters."""

from collections.abc import Iterator

from tasks.train.candidates import Candidate
from tasks.train.distil import strongest, taught, validation_loss
from tasks.train.fit import fit
from tasks.train.inputs import Inputs
from tasks.train.late import Late
from tasks.train.logistic import Logistic
from tasks.train.task import Task


def plain(train: Inputs, val: Inputs, task: Task, more: Inputs | None = None) -> Iterator[Candidate]:
    """Fit each modality alone, combine them by late averaging, and fit a logistic or ridge regression on all.

    With `more`, the train samples and unlabelled ones, the strongest modality then teaches the others (tasks/train/distil.py).
    """
    parts = [
        fit(f"alone-{modality}", "alone", "mean", train.only(modality), val.only(modality), task)
        for modality in sorted(train.features)
    ]
    if more is not None:
        teacher = strongest(parts)
        answers = taught(teacher, more)
        for place, part in enumerate(parts):
            if part is not teacher:
                (modality,), name = part.card.modalities, part.card.name
                print(f"{name}: learns from {teacher.card.name}", flush=True)
                pupil = fit(name, "alone", "mean", more.only(modality), val.only(modality), task, answers)
                parts[place] = min(part, pupil, key=validation_loss)
    yield from parts
    yield Late.of(parts, val)
    yield Logistic.fit(train, val, task.outputs, task.train.balance)
