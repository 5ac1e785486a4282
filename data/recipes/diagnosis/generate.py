"""Land a night of two scans and a slide: `python -m data.recipes.diagnosis.generate --night next`. README.md tells the law."""

from itertools import product

import numpy as np
import numpy.typing as npt

from data.recipes.landing import File, Recipe, main, npy, png
from data.recipes.law import Law, noisy

SIDE = 16  # voxels of a volume's edge
SIDE_PX = 24  # of a slide
Volume = npt.NDArray[np.float64]

STATES = list(product(("even", "swollen"), ("clear", "dense")))  # what an MRI shows best, and what a CT does
FINDING = dict(zip(STATES, ("healthy", "benign", "inflamed", "malignant"), strict=True))
ATYPICAL = {"healthy": 0.03, "benign": 0.1, "inflamed": 0.25, "malignant": 0.9}  # how often cells look so

LAW = Law(
    prior=dict(zip(STATES, (0.34, 0.22, 0.22, 0.22), strict=True)),
    labels=FINDING,
    channels={
        "mri": {state: noisy(state[0], ("even", "swollen"), 0.08) for state in STATES},
        "ct": {state: noisy(state[1], ("clear", "dense"), 0.08) for state in STATES},
        "pathology": {s: {"atypical": ATYPICAL[FINDING[s]], "regular": 1 - ATYPICAL[FINDING[s]]} for s in STATES},
    },
)


def mri(symbol: str, rng: np.random.Generator) -> File:
    """A head, 16 x 16 x 16, and where it is swollen a bright ball in it."""
    return npy(head(rng) + 200 * (symbol == "swollen") * ball(rng, rng.uniform(2.5, 3.5)))


def ct(symbol: str, rng: np.random.Generator) -> File:
    """The head again, and where it is dense three specks of chalk in it."""
    return npy(head(rng) + 400 * (symbol == "dense") * sum(ball(rng, 1.3) for _ in range(3)))


def head(rng: np.random.Generator) -> Volume:
    """An ellipsoid of tissue (100) in air (0), with a scanner's noise."""
    radii = rng.uniform(6.5, 7.5, (3, 1, 1, 1))
    return 100 * (np.square(around(np.zeros(3)) / radii).sum(axis=0) < 1) + rng.normal(0, 6, (SIDE, SIDE, SIDE))


def ball(rng: np.random.Generator, radius: float) -> Volume:
    """A ball of ones somewhere inside the head."""
    return (np.square(around(rng.uniform(-3, 3, 3))).sum(axis=0) < radius**2).astype(float)


def around(centre: npt.NDArray[np.float64]) -> Volume:
    """Places in voxels from a point near the middle, [3, 16, 16, 16]."""
    return np.indices((SIDE, SIDE, SIDE)) - (SIDE - 1) / 2 - centre[:, None, None, None]


def pathology(symbol: str, rng: np.random.Generator) -> File:
    """A slide of dark nuclei: many small ones, or few large ones."""
    number, radius_px = (rng.integers(3, 5), 4.5) if symbol == "atypical" else (rng.integers(9, 13), 1.8)
    slide = rng.normal(0.8, 0.04, (SIDE_PX, SIDE_PX))
    y, x = np.indices(slide.shape)
    for top, left in rng.uniform(radius_px, SIDE_PX - radius_px, (number, 2)):
        slide[(y - top) ** 2 + (x - left) ** 2 < (radius_px * rng.uniform(0.9, 1.1)) ** 2] -= 0.3
    return png(slide)


RECIPE = Recipe(
    name="diagnosis",
    target="finding",
    columns=("mri_file_name", "ct_file_name", "pathology_file_name"),
    law=LAW,
    drawings={"mri": mri, "ct": ct, "pathology": pathology},
)

if __name__ == "__main__":
    main(RECIPE.land)
