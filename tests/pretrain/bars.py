"""Pictures with a planted truth: an upright or a lying bar somewhere in noise, and what frozen encoders make of them."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tasks.extract import image
from tasks.params import Pretrain
from tasks.pretrain.fit import fit
from tasks.pretrain.objectives.batch import Head, pooled
from tasks.profile.image import Options
from tasks.targets import read_target

SAMPLES = 400
SMALL, LARGE = {"epochs": 10, "width": 16}, {"epochs": 20, "width": 64}
OPTIONS = Options(side_px=16)

Encode = Callable[[list[np.ndarray]], np.ndarray]


def interaction(objective: str, seed: int = 0) -> float:
    """Two pictures a sample; the label says whether their bars differ, which neither tells: accuracy on new samples."""
    (train, test), (bits, held) = zip(*(_drawn([seed, part]) for part in (0, 1)), strict=True)
    truth = bits[0] ^ bits[1]
    encoders = [encoder(objective, arrays, truth, seed, f"picture{n}", **SMALL) for n, arrays in enumerate(train)]
    vectors = [[encode(arrays) for encode, arrays in zip(encoders, part, strict=True)] for part in (train, test)]
    return score(products(*vectors[0]), truth, products(*vectors[1]), held[0] ^ held[1], strength=0.01)


def plain(objective: str, seed: int = 0) -> float:
    """One picture a sample; the label is its bar's: accuracy on new samples."""
    (train, test), (bits, held) = zip(*(_drawn([seed, part]) for part in (0, 1)), strict=True)
    encode = encoder(objective, train[0], bits[0], seed, "picture", **LARGE)
    return score(encode(train[0]), bits[0], encode(test[0]), held[0])


def encoder(
    objective: str,
    arrays: list[np.ndarray],
    truth: np.ndarray,
    seed: int,
    name: str,
    watched: np.ndarray | None = None,
    **knobs: int,
) -> Encode:
    """Fit an encoder; returns what gives the mean tokens of pictures, standardised over `arrays`, float64 [n, width]."""
    heads = {"label": Head(read_target("label", {}), int(truth.max()) + 1)}
    fitted = fit(
        image, OPTIONS, arrays, {"label": truth}, heads, Pretrain(objective=objective, **knobs), seed, name, watched=watched
    )

    def mean_tokens(pictures: list[np.ndarray]) -> np.ndarray:
        prepared = [image.prepare(array, OPTIONS, fitted.facts) for array in pictures]
        inputs = {key: torch.from_numpy(np.stack([row[key] for row in prepared])) for key in prepared[0]}
        with torch.inference_mode():
            return pooled(fitted.network(inputs), inputs["mask"]).double().numpy()

    scaler = StandardScaler().fit(mean_tokens(arrays))
    return lambda pictures: scaler.transform(mean_tokens(pictures))


def products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two modalities' features beside all their products: a straight line over these can be an interaction."""
    return np.concatenate([left, right, (left[:, :, None] * right[:, None]).reshape(len(left), -1)], axis=1)


def score(fitted: np.ndarray, truth: np.ndarray, held: np.ndarray, wanted: np.ndarray, strength: float = 1.0) -> float:
    """Accuracy of logistic regression."""
    return float(LogisticRegression(C=strength, max_iter=1000).fit(fitted, truth).score(held, wanted))


def _drawn(seed: list[int]) -> tuple[list[list[np.ndarray]], np.ndarray]:
    """Two columns of pictures and their bits, int64 [2, n]."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (2, SAMPLES))
    return [[_bar(int(bit), rng) for bit in column] for column in bits], bits


def _bar(lying: int, rng: np.random.Generator) -> np.ndarray:
    pixels = rng.normal(90, 40, (16, 16))
    top, left = rng.integers(1, 7, 2)
    pixels[top : top + 8, left + 3 : left + 5] += 110
    pixels = pixels.T if lying else pixels
    return pixels.clip(0, 255).astype(np.uint8)[..., None]
