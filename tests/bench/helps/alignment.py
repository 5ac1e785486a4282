"""What `train.align` is worth: `python -m tests.bench.helps.alignment` prints a line of JSON, exit 1 below the bar.

An image and a text whose features hold something that both show and more that only one of them shows; concat, five seeds, leads
over `align: 0` with 95 % intervals:

    few        planted: the label lies in what both show, 40 samples have one, 1,160 have none; must help
    plenty     the same, all have a label; at most a point is lost
    apart      planted: the label lies in what only one shows, what both show is noise; at most a point is lost
"""

import sys

import numpy as np

from tasks.steady import steady
from tests.bench.helps.leads import HELPS, HURTS_NOT, judge
from tests.train.worlds import accuracy, fitted, inputs

CLASSES, BOTH, ALONE, WIDTH = 6, 4, 12, 32
TRAIN, TEST, FEW = 1200, 4000, 40


class World:
    """A law by which features are drawn: linear mixtures of latent numbers."""

    def __init__(self, seed: int, together: bool) -> None:
        """Draw the law; the label moves what both modalities show, or what each shows alone."""
        self.rng, self.together = np.random.default_rng([seed, together]), together
        self.centres = {m: self.rng.normal(size=(CLASSES, BOTH)) for m in ("both", "image", "text")}
        self.shared = {m: self.rng.normal(size=(BOTH, WIDTH)) / BOTH**0.5 for m in ("image", "text")}
        self.own = {m: self.rng.normal(size=(ALONE, WIDTH)) / ALONE**0.5 for m in ("image", "text")}

    def draw(self, count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Labels and features of so many new samples."""
        labels = self.rng.integers(0, CLASSES, count)
        both = 1.5 * self.rng.normal(size=(count, BOTH))
        if self.together:
            both = self.centres["both"][labels] + 0.4 * both
        tokens = {}
        for m in ("image", "text"):
            own = 1.5 * self.rng.normal(size=(count, ALONE))
            if not self.together:
                own[:, :BOTH] = self.centres[m][labels] + 0.5 * own[:, :BOTH]
            tokens[m] = both @ self.shared[m] + own @ self.own[m] + 0.5 * self.rng.normal(size=(count, WIDTH))
        return labels, tokens


def compared(seed: int, known: int, together: bool) -> tuple[float, float]:
    """Accuracy with alignment and without it."""
    world = World(seed, together)
    labels, tokens = world.draw(TRAIN)
    whole = inputs(labels, tokens, np.arange(TRAIN) < known)
    taught = inputs(labels[:known], {m: body[:known] for m, body in tokens.items()})  # the others teach it nothing
    val, test = inputs(*world.draw(max(known // 4, FEW))), inputs(*world.draw(TEST))
    return accuracy(fitted(whole, val, seed, align=1.0), test), accuracy(fitted(taught, val, seed), test)


def few(seed: int) -> tuple[float, float]:
    """What both show is the label's; few labels."""
    return compared(seed, FEW, together=True)


def plenty(seed: int) -> tuple[float, float]:
    """What both show is the label's; all labels."""
    return compared(seed, TRAIN, together=True)


def apart(seed: int) -> tuple[float, float]:
    """What both show is noise; all labels."""
    return compared(seed, TRAIN, together=False)


CASES = {"few": (few, HELPS), "plenty": (plenty, HURTS_NOT), "apart": (apart, HURTS_NOT)}

if __name__ == "__main__":
    with steady(1):
        sys.exit(judge(__doc__, CASES))
