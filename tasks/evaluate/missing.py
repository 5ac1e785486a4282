"""What filling gaps is worth: how well maps find a sample's own other modality, what a modality costs when it is gone."""

from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tasks.evaluate.scores import Judged, Sureness
from tasks.features import Features
from tasks.files import read_json
from tasks.intervals import interval
from tasks.measures import said, tally
from tasks.tally import Tally
from tasks.train.mapping import Filling
from tasks.train.network import Modal
from tasks.train.neural import Neural, complete, pieces

NEAREST = (1, 5, 10)
MOST = 5000  # pairs that are searched among each other
PIECE = 1024

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def mapped(folders: Mapping[str, Path]) -> dict[str, Neural]:
    """The candidates that fill gaps, by name."""
    fill = [name for name, folder in folders.items() if "mapping" in read_json(folder / "candidate.json")["settings"]]
    return {name: Neural.load(folders[name]) for name in fill}


def recalls(filling: Filling, vectors: Modal, there: Modal, sure: Sureness) -> list[dict[str, Any]]:
    """How often what a map tells is nearest to the sample's own: each ordered pair of modalities, among samples that have both.

    Args:
        filling: the maps.
        vectors: standardised mean tokens [n, d] per modality.
        there: bool [n] per modality.
        sure: draws samples, where there are more than enough.

    Returns:
        Per pair {"from", "to", "used", "samples", "recall": {"1", "5", "10"}, "chance": the same of any order}; `used` is
        whether the map fills at all, which one that tells no more than the mean does not.
    """
    found = []
    for one, other in permutations(sorted(vectors), 2):
        rows = np.flatnonzero((there[one] & there[other]).numpy())
        if len(rows) > MOST:
            rows = np.sort(sure.generator("recall", one, other).choice(rows, MOST, replace=False))
        if not len(rows):
            continue
        between = filling.between(one, other)
        with torch.inference_mode():
            told, own = (x.double().numpy() for x in (between(vectors[one][rows]), vectors[other][rows]))
        chance = {str(k): min(k / len(rows), 1.0) for k in NEAREST}
        measured = {"recall": recall(told, own, NEAREST), "chance": chance}
        found.append({"from": one, "to": other, "used": bool(between.trust > 0), "samples": len(rows), **measured})
    return found


def recall(told: Array, own: Array, nearest: tuple[int, ...]) -> dict[str, float]:
    """Share of rows of `told` [n, d] whose own row is among the k nearest by cosine; equally near ones come in any order."""
    told, own = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (told, own))
    hits = dict.fromkeys(nearest, 0.0)
    for start in range(0, len(told), PIECE):
        near = np.round(told[start : start + PIECE] @ own.T, 9)  # equal rows are equally near, whatever the order of sums
        mine = near[np.arange(len(near)), start + np.arange(len(near))][:, None]
        nearer, alike = (near > mine).sum(axis=1), (near == mine).sum(axis=1)
        for k in nearest:
            hits[k] += float(np.clip((k - nearer) / alike, 0, 1).sum())
    return {str(k): hits[k] / len(told) for k in nearest}


def without(
    candidate: Neural, judged: Judged, target: str, features: Mapping[str, Features], metric: str, sure: Sureness
) -> dict[str, Any]:
    """What is lost when each modality is taken from samples that have all of them, its gap left open and filled.

    Args:
        candidate: that has maps.
        judged: those samples.
        target: that they are judged by.
        features: of those samples.
        metric: a name in `METRICS`.
        sure: how intervals are made.

    Returns:
        modality -> {"masked", "mapped": lost points, "gained": what filling wins back}, paired intervals; masked is the same
        network with its gaps open, which training has shown it too.
    """

    def scored(model: Neural, seen: Mapping[str, Features]) -> Tally:
        answer = said(metric, model.predict(seen)[target], judged.output)
        return tally(metric, judged.truth, answer, judged.groups, len(judged.output.classes))

    def paired(first: Tally, second: Tally) -> dict[str, float]:
        return interval(first.minus(second), sure.generator("missing", metric), sure.draws, sure.tail).as_json()

    whole, found, open_ = scored(candidate, features), {}, candidate.masked()
    for m in sorted(features):
        rest = {other: body for other, body in features.items() if other != m}
        masked, filled = scored(open_, rest), scored(candidate, rest)
        lost = {"masked": paired(whole, masked), "mapped": paired(whole, filled)}
        found[m] = {**lost, "gained": paired(filled, masked)}
    return found


def means(candidate: Neural, features: Mapping[str, Features]) -> tuple[Modal, Modal]:
    """Standardised mean tokens [n, d] of a candidate's modalities, and which are there, bool [n]."""
    inputs = complete(features, candidate.card)
    with torch.inference_mode():
        rows = len(next(iter(inputs.values())).mask)
        parts = [candidate.network.means(tokens, mask) for _, (tokens, mask, _) in pieces(inputs, rows)]
    vectors, there = ({m: torch.cat([part[i][m] for part in parts]) for m in inputs} for i in (0, 1))
    return vectors, there
