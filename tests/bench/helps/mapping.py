"""What `train.missing: mapped` is worth: `python -m tests.bench.helps.mapping` prints a line of JSON, exit 1 below the bar.

An image and a text; a fifth of the texts is missing in training; the mean of two fusions, concat and mean, for one fit is
moved a point by chance; five seeds, leads over `missing: masked` with 95 % intervals:

    told       planted: the image tells what the text shows, beside much else; 60 of 1,200 samples have a label; the text is
               taken from all test samples; must help
    present    the same, all have a label, nothing is missing in the test; at most a point is lost
    strangers  planted: image and text have nothing but the class in common, all have a label; the text is taken from all test
               samples; at most a point is lost
"""

import sys

import numpy as np

from tasks.steady import steady
from tests.bench.helps.leads import HELPS, HURTS_NOT, judge
from tests.train.worlds import accuracy, fitted, inputs

FUSIONS = ("concat", "mean")
CLASSES, SHOWN, ALONE, WIDTH = 6, 5, 14, 32
TRAIN, VAL, TEST, FEW, GONE = 1200, 200, 4000, 60, 0.2


class World:
    """A law by which features are drawn: linear mixtures of latent numbers."""

    def __init__(self, seed: int, related: bool) -> None:
        """Draw the law; the image holds the very numbers that the text shows, or others of the same class."""
        self.rng, self.related = np.random.default_rng([seed, related]), related
        self.centres = {m: self.rng.normal(size=(CLASSES, SHOWN)) for m in ("image", "text")}
        self.maps = {m: self.rng.normal(size=(SHOWN, WIDTH)) / SHOWN**0.5 for m in ("image", "text")}
        self.own = self.rng.normal(size=(ALONE, WIDTH)) / ALONE**0.5

    def draw(self, count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Labels and features of so many new samples."""
        labels, shown = self.rng.integers(0, CLASSES, count), {}
        for m in ("text", "image"):
            shown[m] = self.centres[m][labels] + 0.6 * self.rng.normal(size=(count, SHOWN))
        seen = shown["text" if self.related else "image"] @ self.maps["image"]
        noise = 0.3 * self.rng.normal(size=(2, count, WIDTH))
        own = 1.5 * self.rng.normal(size=(count, ALONE)) @ self.own
        return labels, {"image": seen + own + noise[0], "text": shown["text"] @ self.maps["text"] + noise[1]}


def compared(seed: int, known: int, related: bool, *without: str) -> tuple[float, float]:
    """Accuracy with maps and without them, some modalities taken from the test."""
    world = World(seed, related)
    labels, tokens = world.draw(TRAIN)
    gone = {"text": world.rng.random(TRAIN) < GONE}
    train = inputs(labels, tokens, np.arange(TRAIN) < known, gone)
    val, test = inputs(*world.draw(VAL)), inputs(*world.draw(TEST))

    def score(missing: str) -> float:
        return float(np.mean([accuracy(fitted(train, val, seed, of, missing=missing), test, *without) for of in FUSIONS]))

    return score("mapped"), score("masked")


def told(seed: int) -> tuple[float, float]:
    """The image tells the text, which is gone; few labels."""
    return compared(seed, FEW, True, "text")


def present(seed: int) -> tuple[float, float]:
    """Nothing is missing."""
    return compared(seed, TRAIN, True)


def strangers(seed: int) -> tuple[float, float]:
    """The image tells nothing of the text but the class."""
    return compared(seed, TRAIN, False, "text")


CASES = {"told": (told, HELPS), "present": (present, HURTS_NOT), "strangers": (strangers, HURTS_NOT)}

if __name__ == "__main__":
    with steady(1):
        sys.exit(judge(__doc__, CASES))
