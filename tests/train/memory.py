"""Samples in memory as the train stage reads them, and one candidate fitted to them."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from tasks.features import Features
from tasks.params import Train
from tasks.targets import Output, read_target
from tasks.train.fit import fit
from tasks.train.inputs import Inputs
from tasks.train.neural import Neural
from tasks.train.task import Task


def inputs(parts: Mapping[str, np.ndarray], truth: np.ndarray, **columns: list[str]) -> Inputs:
    """Samples with one token of each modality, float [n, d]; a row of NaN is missing, a label below 0 empty."""
    features = {}
    for modality, body in sorted(parts.items()):
        tokens = body[:, None].astype(np.float32)
        features[modality] = Features(tokens, ~np.isnan(tokens[:, :, 0]), np.zeros(tokens.shape[:2], np.float32))
    samples = {"sample_id": [f"s{i:05d}" for i in range(len(truth))], "label": pa.array(truth, pa.int64(), mask=truth < 0)}
    return Inputs(pa.table(samples | columns), features)


def fitted(train: Inputs, val: Inputs, classes: int, seed: int, fusion: str = "concat", **knobs: object) -> Neural:
    """A network, as `tasks.train` fits it."""
    outputs = {"label": Output("classification", tuple(map(str, range(classes))))}
    task = Task(outputs, {"label": read_target("label", {})}, Train(**knobs), seed, "cpu")
    return fit(fusion, "fusion", fusion, train, val, task)


def accuracy(candidate: Neural, test: Inputs) -> float:
    """Share of the samples that are classified right."""
    return float((candidate.predict(test.features)["label"].argmax(1) == test.labels("label")).mean())
