"""What a candidate of any kind can do, and how one is read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tasks.features import Features
from tasks.train.card import Card, read_card
from tasks.train.late import Late
from tasks.train.logistic import Logistic
from tasks.train.neural import Answers, Neural


class Candidate(Protocol):
    """What select, evaluate and a bundle know of a candidate."""

    card: Card

    def predict(self, features: Mapping[str, Features]) -> Answers:
        """Per target probabilities float64 [n, classes], or values [n, 1] in the target's unit."""

    def fused(self, features: Mapping[str, Features]) -> npt.NDArray[np.float64]:
        """Where samples lie in the space in which it decides: float64 [n, width], finite, no unit.

        What is at a small Euclidean distance there gets nearly the same answers. Arguments and errors are those of `predict`.
        """

    def save(self, folder: Path) -> None:
        """Write it into a folder."""


LOADERS: dict[str, Callable[[Path], Candidate]] = {
    "alone": Neural.load,
    "finetune": Neural.load,
    "fusion": Neural.load,
    "late": Late.load,
    "logistic": Logistic.load,
}


def load_candidate(folder: Path) -> Candidate:
    """Read a candidate of any kind.

    Raises:
        NoData: the folder holds none.
        ContractBroken: its files are damaged or do not belong together.
    """
    return LOADERS[read_card(folder).kind](folder)
