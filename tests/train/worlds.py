"""Samples with features, and what fits a fusion to them: no files."""

import contextlib
import io
from dataclasses import replace

import numpy as np
import pyarrow as pa

from tasks.features import Features
from tasks.params import Train
from tasks.targets import Output, read_target
from tasks.train.fit import fit
from tasks.train.inputs import Inputs
from tasks.train.neural import Neural
from tasks.train.task import Task

Tokens = dict[str, np.ndarray]


def inputs(labels: np.ndarray, tokens: Tokens, known: np.ndarray | None = None, gone: Tokens | None = None) -> Inputs:
    """Samples of one token [n, d] per modality.

    Args:
        labels: class numbers int64 [n].
        tokens: float [n, d] per modality.
        known: bool [n], which are labelled; None: all.
        gone: per modality bool [n], where it is missing.
    """
    column = pa.array(labels, pa.int64(), mask=None if known is None else ~known)
    features = {}
    for m, body in tokens.items():
        mask = np.ones((len(body), 1), bool) & ~(gone or {}).get(m, np.zeros(len(body), bool))[:, None]
        features[m] = Features(body[:, None].astype(np.float32), mask, np.zeros(mask.shape, np.float32))
    return Inputs(pa.table({"label": column}), features)


def fitted(train: Inputs, val: Inputs, seed: int = 0, fusion: str = "concat", **knobs: object) -> Neural:
    """A fusion fitted to classes, in silence."""
    classes = tuple(map(str, range(int(val.labels("label").max()) + 1)))
    task = Task(
        {"label": Output("classification", classes)},
        {"label": read_target("label", {})},
        replace(Train(), **knobs),
        seed,
        "cpu",
    )
    with contextlib.redirect_stdout(io.StringIO()):
        return fit(fusion, "fusion", fusion, train, val, task)


def accuracy(candidate: Neural, test: Inputs, *without: str) -> float:
    """On samples from which modalities are taken."""
    seen = {m: body for m, body in test.features.items() if m not in without}
    return float((candidate.predict(seen)["label"].argmax(axis=1) == test.labels("label")).mean())
