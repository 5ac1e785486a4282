"""Planted: one modality that is learned at once, another that takes longer and is needed."""

import numpy as np

from tasks.train.inputs import Inputs
from tests.train.memory import accuracy, fitted, inputs

CLASSES, WIDTH, SIZES = 4, 16, {"train": 1000, "val": 1000, "test": 3000}


def unequal(setting: dict[str, object], seed: int, fusion: str = "concat", bold: bool = True) -> float:
    """Accuracy on new samples of a network with these knobs of `train`; see `drawn`."""
    train, val, test = (drawn(part, seed, bold) for part in SIZES)
    return accuracy(fitted(train, val, CLASSES, seed, fusion, **setting), test)


def drawn(part: str, seed: int, bold: bool) -> Inputs:
    """One split: `fast` shows the class plainly but is wrong in 30 % of the samples, `slow` dimly and is never wrong.

    Where `fast` is bold it is never wrong in the train split, as the features of an encoder are that was fitted to it: the loss
    is small before anything is learned from `slow`.
    """
    rng, fixed = np.random.default_rng([seed, list(SIZES).index(part)]), np.random.default_rng([seed, 99])
    fast, slow = fixed.normal(size=(2, CLASSES, WIDTH))
    size = SIZES[part]
    truth = rng.integers(0, CLASSES, size)
    said = np.where(rng.random(size) < 0.3, rng.integers(0, CLASSES, size), truth)
    said = truth if bold and part == "train" else said
    noise = rng.normal(size=(2, size, WIDTH))
    return inputs({"fast": 2 * fast[said] + noise[0], "slow": 0.55 * slow[truth] + noise[1]}, truth)
