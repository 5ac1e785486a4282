"""Clusters of test samples that the selected model treats alike, and in which it does worst: parts that no column names.

k-means of the vectors in which it decides (`Candidate.fused`), told neither labels nor answers: Lloyd, "Least Squares
Quantization in PCM", IEEE Transactions on Information Theory 1982. As many clusters, of 2 to MOST, as give the largest
silhouette: Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics 1987; below UNCLEAR there is hardly a
structure (Kaufman, Rousseeuw, "Finding Groups in Data", 1990, §2.2). That such parts show what a mean hides: Sohoni, Dunnmon,
Angus, Gu, Ré, "No Subclass Left Behind", NeurIPS 2020.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt

from tasks.evaluate.pictures import PLAIN, SELECTED, save
from tasks.evaluate.scores import Judged, Sureness
from tasks.intervals import interval
from tasks.measures import clipped
from tasks.params import keyed_seed
from tasks.targets import Output
from tasks.train.inputs import few

MOST, EACH = 8, 20  # clusters, and samples of one on average
LOOKED = 2000  # samples that are clustered, and drawn; the others belong to the nearest centre
STARTS = 4  # of k-means, of which the best is kept
UNCLEAR = 0.25
COLOURS = (SELECTED, PLAIN, "#c9962c", "#5f8f5b", "#8a5a9e", "#3f9aa8", "#8c6d4f", "#c77b9b")

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """What was found.

    Attributes:
        member: int64 [n], the place of each sample's cluster in `told["parts"]`.
        told: as scores.json holds it, see `clusters`.
    """

    member: Rows
    told: dict[str, Any]


def clusters(judged: Judged, selected: str, names: Sequence[str], places: Array, sure: Sureness) -> Clusters | None:
    """Part test samples into clusters; None of fewer than 2 EACH, and where all are alike.

    What is scored is what means something within a part: the share of right answers (of several labels all must be right), or
    the mean absolute error, below 0.

    Args:
        judged: n labelled test samples.
        selected: whose answers are scored.
        names: their n ids, in any order.
        places: float64 [n, width], where they lie.
        sure: how intervals are made.

    Returns:
        `told`: `metric`, `whole`: its value on all; `silhouette`, in -1 … 1; `unclear`: whether it is too low to tell; `apart`:
        the best one's score less the worst's, None where fewer than two have one; `parts`, the worst first: `samples`,
        `groups`, `score` with its interval, None of one group; `below`: whether it surely lies below the whole, of so many
        clusters (Bonferroni); `truth`, `says`: the commonest, or the mean.
    """
    found = _sought(places, names, sure.seed)
    if found is None:
        return None
    member, silhouette = found
    metric = "neg_mean_absolute_error" if judged.output.is_number else "accuracy"
    whole = judged.tally(metric, selected).value
    rows = [member == place for place in np.unique(member)]
    parts = [_part(judged.where(of), selected, metric, whole, len(rows), sure) for of in rows]
    ranked = sorted(range(len(rows)), key=lambda place: (*_worst_first(parts[place]), min(np.array(names)[rows[place]])))
    scores = [part["score"]["value"] for part in parts if part["score"]]
    told = {
        "metric": metric,
        "whole": whole,
        "silhouette": silhouette,
        "unclear": silhouette < UNCLEAR,
        "apart": max(scores) - min(scores) if len(scores) > 1 else None,
        "parts": [parts[place] for place in ranked],
    }
    return Clusters(np.argsort(ranked)[member], told)


def _worst_first(part: dict[str, Any]) -> tuple[bool, float, int]:
    return part["score"] is None, part["score"]["value"] if part["score"] else 0.0, -part["samples"]


def _sought(places: Array, names: Sequence[str], seed: int) -> tuple[Rows, float] | None:
    """The cluster of each sample, numbered from 0, and the silhouette.

    One thread: several would add up in the order in which they end.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    looked, best = places[sorted(few(names, LOOKED), key=names.__getitem__)], None
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct samples than clusters: not so many are found
        for count in range(2, min(MOST, len(looked) // EACH) + 1):
            model = KMeans(count, n_init=STARTS, random_state=keyed_seed(seed, "clusters", str(count)) % 2**32).fit(looked)
            if len(np.unique(model.labels_)) < count:
                break
            score = float(silhouette_score(looked, model.labels_))
            if best is None or score > best[1]:
                best = model, score
        if best is None:
            return None
        return np.unique(best[0].predict(places), return_inverse=True)[1], best[1]


def _part(judged: Judged, selected: str, metric: str, whole: float, among: int, sure: Sureness) -> dict[str, Any]:
    """What scores.json holds of one cluster, which is one among so many."""
    score, below = None, False
    if judged.sizes["groups"] >= 2:
        sums = judged.tally(metric, selected)
        score = clipped(interval(sums, sure.generator("clusters"), sure.draws, sure.tail), metric).as_json()
        below = interval(sums, sure.generator("clusters"), sure.draws, sure.tail / among).high < whole
    common = {"truth": judged.truth, "says": judged.predicted(selected)}
    told = {name: _common(values, judged.output) for name, values in common.items()}
    return {**judged.sizes, "score": score, "below": below, **told}


def _common(values: npt.NDArray[Any], output: Output) -> str | float:
    """The commonest, the first class among equals; of numbers the mean."""
    if output.is_number:
        return float(values.mean())
    found, counts = np.unique(values, axis=0, return_counts=True)
    return output.words(found[counts.argmax()])


def draw_clusters(
    path: Path, places: Array, member: Rows, wrong: npt.NDArray[np.bool_], parts: Sequence[Mapping[str, Any]], selected: str
) -> None:
    """Draw samples where they lie, seen along the two directions in which they differ most, by cluster; wrong answers marked.

    Args:
        path: the picture.
        places: float64 [n, width] of the samples that are drawn.
        member: int64 [n], the place of each one's cluster in `parts`.
        wrong: bool [n].
        parts: of scores.json.
        selected: whose space it is.
    """
    flat, shares = _flat(places)
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    for place, part in enumerate(parts):
        x, y = flat[member == place].T
        score = f"{part['score']['value']:.3f}" if part["score"] else "one group"
        label = f"{place + 1}: {score}, {part['samples']}"
        axes.scatter(x, y, s=14, color=COLOURS[place], alpha=0.6, linewidths=0, label=label)
    x, y = flat[wrong].T
    name = "wrong" if isinstance(parts[0]["truth"], str) else "furthest off"
    axes.scatter(x, y, s=22, color="black", marker="x", linewidths=0.8, label=name)
    for place in np.unique(member):
        box = {"boxstyle": "circle", "facecolor": "white", "edgecolor": COLOURS[place], "alpha": 0.85}
        x, y = np.median(flat[member == place], axis=0)
        axes.text(x, y, str(place + 1), ha="center", va="center", fontsize=8, bbox=box)
    figure.legend(loc="outside right upper", title="cluster: score, samples", fontsize=8, title_fontsize=8, frameon=False)
    axes.set(xlabel=f"{shares[0]:.0%} of what differs", ylabel=f"{shares[1]:.0%}", xticks=[], yticks=[])
    axes.set_title(f"what {selected} treats alike: {len(flat)} test samples", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _flat(places: Array) -> tuple[Array, Array]:
    """Principal components of vectors [n, width] as [n, 2], 0 beyond their width, and each one's share of the variance.

    Their signs are scikit-learn's, by the largest loading: no order of samples matters.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    count = min(2, *places.shape)
    with threadpool_limits(1):
        model = PCA(count, svd_solver="full").fit(places)
        beyond = ((0, 0), (0, 2 - count))
        return np.pad(model.transform(places), beyond), np.pad(model.explained_variance_ratio_, beyond[1])
