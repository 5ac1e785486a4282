"""Planted: two sites whose features differ, and labels from one of them alone."""

from dataclasses import replace

import numpy as np

from tasks.train.domains import Domains
from tasks.train.inputs import Inputs
from tests.train.memory import fitted, inputs

WIDTH, CLASSES, SIZES = 16, 3, {"train": 600, "free": 600, "val": 400, "test": 3000}


def sites(how: str, seed: int, case: str, fusion: str = "concat", **knobs: float) -> float:
    """Accuracy on new samples of the second site, of whose samples no label is known, by a network with `train.domains`.

    Args:
        how: none, normalise or coral.
        seed: of data and training.
        case: `shifted`, `turned` or `same`; see `drawn`.
        fusion: the network's.
        knobs: of `train`.
    """
    train, free, val = (
        drawn("train", seed, case, "north"),
        drawn("free", seed, case, "south"),
        drawn("val", seed, case, "north"),
    )
    train, domains = replace(train, unlabelled=free), Domains()
    if how != "none":
        domains = Domains.of("site", train)
        train, val = domains.adapted(train), domains.adapted(val)
    candidate = fitted(train, val, CLASSES, seed, fusion, domains=how, **knobs)
    test = drawn("test", seed, case, "south")
    said = candidate.predict(domains.normalised(test.features, test.domain))["label"].argmax(1)
    return float((said == truth_of("test", seed, case, "south")[0]).mean())


def drawn(part: str, seed: int, case: str, site: str) -> Inputs:
    """Samples of one site, those of `free` without labels; modalities `left` and `right`.

    In `shifted` the second site's features are scaled, and shifted so that most of it looks like the first class. In `turned`
    its noise is turned: half of `left` is noise that at the first site stands in the other half too, so that a difference
    tells the class; at the second site the sum would. What tells it at both is dimmer, in `right`.
    """
    truth, rng = truth_of(part, seed, case, site)
    fixed = np.random.default_rng([seed, 99])
    sight = fixed.normal(size=(2, CLASSES, WIDTH))
    size, half = len(truth), WIDTH // 2
    left = 0.5 * sight[0][truth] + rng.normal(size=(size, WIDTH))
    right = 0.5 * sight[1][truth] + rng.normal(size=(size, WIDTH))
    if case == "turned":
        noise = 2 * rng.normal(size=(size, half))
        left = np.concatenate([sight[0][truth][:, :half] + noise, noise if site == "north" else -noise], axis=1)
        left += 0.3 * rng.normal(size=left.shape)
    if case == "shifted" and site == "south":
        shift, scale = sight[:, 0] - sight[:, 1], np.exp(fixed.normal(scale=0.7, size=(2, WIDTH)))
        left, right = left * scale[0] + shift[0], right * scale[1] + shift[1]
    return inputs({"left": left, "right": right}, truth if part != "free" else np.full(size, -1), domain=[site] * size)


def truth_of(part: str, seed: int, case: str, site: str) -> tuple[np.ndarray, np.random.Generator]:
    """The classes of one site's samples, and what draws the rest of them."""
    rng = np.random.default_rng([seed, list(SIZES).index(part), site == "south"])
    return rng.integers(0, CLASSES, SIZES[part]), rng
