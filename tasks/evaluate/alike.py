"""How alike two modalities' features are beyond what the class explains, and whether they err on the same samples.

Encoders that see the same in different modalities leave nothing to fuse. Plain centred kernel alignment cannot tell: of
independent noise, 200 samples of 512 features, it is 0.7. Debiased it is 0, and permutations say how far chance goes.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.evaluate.scores import ALONE, Judged, Sureness
from tasks.features import Features

FEWEST, MOST = 10, 500  # samples of a pair: too few to tell, and as many as are looked at
PERMUTATIONS = 499
FIFTHS = (0.2, 0.4, 0.6, 0.8)  # quantiles that cut values into what stands for classes
CHANCE = 0.95  # the quantile of the permutations that is told

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def alike(judged: Judged, features: Mapping[str, Features], places: Rows, sure: Sureness) -> list[dict[str, Any]]:
    """Every pair of modalities on the judged samples that have both, one of each group, so that these are independent.

    Args:
        judged: truth, groups, and answers of the candidates `alone-<modality>`.
        features: by modality; of these samples and others.
        places: int64 [n], the judged samples' rows in `features`.
        sure: draws samples, where there are more than enough, and permutations.

    Returns:
        Per pair {"pair", "samples", "cka", "chance", "p", "errors", "errors_p"}: debiased alignment within classes, the
        95 % quantile of its permutations, the share of them that reach it; the correlation of errors within classes,
        and the share of permutations that reach that. Pairs with too few samples are left out.
    """
    found = []
    for pair in combinations(sorted(features), 2):
        rng = sure.generator("alike", *pair)
        both = np.logical_and.reduce([features[m].mask[places].any(axis=1) for m in pair])
        rows = _independent(judged, both, rng)
        if len(rows) < FEWEST:
            continue
        vectors = [_mean_tokens(features[m], places[rows]) for m in pair]
        errors = [_errors(judged, f"{ALONE}{m}")[rows, None] for m in pair]
        found.append({"pair": list(pair), "samples": len(rows), **_compared(vectors, errors, _classes(judged)[rows], rng)})
    return found


def _independent(judged: Judged, both: npt.NDArray[np.bool_], rng: np.random.Generator) -> Rows:
    """Samples that have both modalities: the first of each group, at most `MOST`, of classes with at least two."""
    rows = np.flatnonzero(both)
    rows = rows[np.sort(np.unique(judged.groups[rows], return_index=True)[1])]
    if len(rows) > MOST:
        rows = np.sort(rng.choice(rows, MOST, replace=False))
    classes = _classes(judged)
    counts = np.bincount(classes[rows], minlength=classes.max(initial=0) + 1)
    return rows[counts[classes[rows]] >= 2]


def _classes(judged: Judged) -> Rows:
    """What samples are compared within, int64 [n]: the class; the set of labels; the fifth that a value lies in."""
    if judged.output.is_number:
        return np.asarray(np.digitize(judged.truth, np.quantile(judged.truth, FIFTHS)))
    return np.asarray(np.unique(judged.truth, axis=0, return_inverse=True)[1].ravel())


def _errors(judged: Judged, name: str) -> Array:
    """How far off an answer is, float64 [n]: of a value the distance, else 1 where anything of it is wrong."""
    said, truth = judged.predicted(name), judged.truth
    if judged.output.is_number:
        return np.asarray(np.abs(said - truth))
    wrong = (said != truth).reshape(len(truth), -1)
    return np.asarray(wrong.any(axis=1), np.float64)


def _mean_tokens(features: Features, rows: Rows) -> Array:
    there = features.mask[rows][..., None]
    total = np.where(there, features.tokens[rows], 0).sum(axis=1, dtype=np.float64)
    return np.asarray(total / there.sum(axis=1))


def _compared(vectors: list[Array], errors: list[Array], truth: Rows, rng: np.random.Generator) -> dict[str, float]:
    """Both measures and what they are when the second modality's samples change places within their class."""
    (x, y), (first, second) = ([_within(values, truth) for values in pair] for pair in (vectors, errors))
    size, varied = _size(hsic(x, x), hsic(y, y)), _size((first * first).sum(), (second * second).sum())

    def measured(places: Rows) -> tuple[float, float]:
        return hsic(x, y[places]) / size, float((first * second[places]).sum()) / varied

    found = measured(np.arange(len(truth)))
    drawn = np.array([measured(_permuted(truth, rng)) for _ in range(PERMUTATIONS)])
    p = ((drawn >= found).sum(axis=0) + 1) / (PERMUTATIONS + 1)
    chance = float(np.quantile(drawn[:, 0], CHANCE))
    return {"cka": found[0], "chance": chance, "p": float(p[0]), "errors": found[1], "errors_p": float(p[1])}


def debiased_cka(x: Array, y: Array) -> float:
    """Linear centred kernel alignment with the unbiased estimator of HSIC, at most 1, 0 on average when independent.

    Nguyen, Raghu, Kornblith, "Do Wide and Deep Networks Learn the Same Things?", ICLR 2021. 0 where there is no variance.

    Args:
        x: float64 [n, d], at least 4 samples.
        y: float64 [n, e].
    """
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return hsic(x, y) / _size(hsic(x, x), hsic(y, y))


def hsic(x: Array, y: Array) -> float:
    """The unbiased estimator for linear kernels, without a matrix of samples by samples.

    Song, Smola, Gretton, Bedo, Borgwardt, "Feature Selection via Dependence Maximization", JMLR 2012, equation 5.
    """
    count = len(x)
    own = [(values * values).sum(axis=1) for values in (x, y)]  # the kernels' diagonals, which the estimator leaves out
    rows = [values @ values.sum(axis=0) - diagonal for values, diagonal in zip((x, y), own, strict=True)]
    products = ((x.T @ y) ** 2).sum() - (own[0] * own[1]).sum()
    sums = rows[0].sum() * rows[1].sum() / ((count - 1) * (count - 2)) - 2 * (rows[0] * rows[1]).sum() / (count - 2)
    return float((products + sums) / (count * (count - 3)))


def _size(one: float, other: float) -> float:
    """What a covariance is divided by; 1 where one of them does not vary, for the covariance is 0 then."""
    return float(np.sqrt(one * other)) if min(one, other) > 0 else 1.0


def _within(values: Array, truth: Rows) -> Array:
    """What is left when each class's mean is taken off: float64 [n, d]."""
    names, index = np.unique(truth, return_inverse=True)
    member = np.eye(len(names))[index]  # [n, classes]
    return np.asarray(values - member @ ((member.T @ values) / member.sum(axis=0)[:, None]))


def _permuted(truth: Rows, rng: np.random.Generator) -> Rows:
    """Places of samples after each class has been shuffled by itself."""
    order = np.argsort(truth, kind="stable")
    shuffled = order[np.lexsort((rng.random(len(truth)), truth[order]))]
    places = np.empty(len(truth), np.int64)
    places[order] = shuffled
    return places
