"""What `train.distil` is worth: `python -m tests.bench.helps.distil` prints a line of JSON, exit 1 below the bar.

A clear image and a dull text, each with noise of its own; the accuracy of the text alone on new samples, five seeds, leads of
`distil: 0.5` over 0 with 95 % intervals:

    few        planted: 60 samples have a label, 1,440 have none; must help
    plenty     the same, all have a label; at most a point is lost
    halves     planted: of four classes the image tells one half, the text the other; all labels; at most a point is lost
"""

import contextlib
import io
import sys
from dataclasses import replace
from itertools import islice

import numpy as np

from tasks.params import Train
from tasks.steady import steady
from tasks.targets import Output, read_target
from tasks.train.inputs import Inputs
from tasks.train.plain import plain
from tasks.train.task import Task
from tests.bench.helps.leads import HELPS, HURTS_NOT, judge
from tests.train.worlds import Tokens, accuracy, inputs

CLASSES, WIDTH = 4, 32
TRAIN, TEST, FEW = 1500, 4000, 60
STRENGTH = {"image": 0.5, "text": 0.2}
SHARE = 0.5


class World:
    """A law by which features are drawn: a direction per class and modality, in noise."""

    def __init__(self, seed: int, halves: bool = False) -> None:
        """Draw the law; with `halves` the image knows the label's first bit and the text its second."""
        self.rng, self.halves = np.random.default_rng([seed, halves]), halves
        self.directions = {m: self.rng.normal(size=(CLASSES, WIDTH)) for m in STRENGTH}

    def draw(self, count: int) -> tuple[np.ndarray, Tokens]:
        """Labels and features of so many new samples."""
        labels = self.rng.integers(0, CLASSES, count)
        shown = {"image": labels // 2, "text": labels % 2} if self.halves else dict.fromkeys(STRENGTH, labels)
        noise = {m: self.rng.normal(size=(count, WIDTH)) for m in STRENGTH}
        return labels, {m: STRENGTH[m] * self.directions[m][shown[m]] + noise[m] for m in STRENGTH}


def alone(train: Inputs, val: Inputs, test: Inputs, seed: int, more: Inputs | None = None) -> float:
    """Accuracy of the text alone."""
    knobs = replace(Train(), distil=SHARE if more else 0.0)
    outputs = {"label": Output("classification", tuple(map(str, range(CLASSES))))}
    task = Task(outputs, {"label": read_target("label", {})}, knobs, seed, "cpu")
    with contextlib.redirect_stdout(io.StringIO()):
        parts = {part.card.name: part for part in islice(plain(train, val, task, more), len(STRENGTH))}
    return accuracy(parts["alone-text"], test.only("text"))  # type: ignore[arg-type]


def compared(seed: int, known: int, halves: bool = False) -> tuple[float, float]:
    """With the image's lessons and without them."""
    world = World(seed, halves)
    labels, tokens = world.draw(TRAIN)
    train = inputs(labels[:known], {m: body[:known] for m, body in tokens.items()})
    more = inputs(labels, tokens, np.arange(TRAIN) < known)
    val, test = inputs(*world.draw(max(known // 4, 40))), inputs(*world.draw(TEST))
    return alone(train, val, test, seed, more), alone(train, val, test, seed)


def few(seed: int) -> tuple[float, float]:
    """Few labels."""
    return compared(seed, FEW)


def plenty(seed: int) -> tuple[float, float]:
    """All labels."""
    return compared(seed, TRAIN)


def halves(seed: int) -> tuple[float, float]:
    """What the image tells is nothing that the text could learn."""
    return compared(seed, TRAIN, halves=True)


CASES = {"few": (few, HELPS), "plenty": (plenty, HURTS_NOT), "halves": (halves, HURTS_NOT)}

if __name__ == "__main__":
    with steady(1):
        sys.exit(judge(__doc__, CASES))
