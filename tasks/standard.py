"""What the train split says of a target before any feature is looked at; from what a model puts out to an answer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.tables import labelled
from tasks.targets import Output

Statistics = dict[str, dict[str, float]]  # target -> {"mean", "deviation"}, in the target's unit

NAMES = ("mean", "deviation")


def prior_of(labels: npt.NDArray[np.int64], classes: int) -> list[float]:
    """Share of each class among the labelled, of class indices [n] or of several labels [n, classes]."""
    if labels.ndim == 2:
        return [float(share) for share in labels[labelled(labels)].mean(axis=0)]
    counts = np.bincount(labels[labelled(labels)], minlength=classes)
    return [float(share) for share in counts / counts.sum()]


def statistics_of(values: npt.NDArray[np.float64]) -> dict[str, float]:
    """Mean and standard deviation of the labelled, in their own unit; a constant has the deviation 1, nothing the mean 0."""
    known = values[labelled(values)]
    if not len(known):
        return {"mean": 0.0, "deviation": 1.0}
    deviation = float(known.std())
    return {"mean": float(known.mean()), "deviation": deviation if deviation > 0 else 1.0}


def standardised(labels: npt.NDArray[Any], statistics: Mapping[str, float] | None) -> npt.NDArray[Any]:
    """Values less their mean in deviations, float32 [n], NaN where empty; class indices as they are."""
    if statistics is None:
        return labels
    return np.asarray((labels - statistics["mean"]) / statistics["deviation"], np.float32)


def answer(raw: npt.NDArray[np.float64], output: Output, statistics: Mapping[str, float] | None) -> npt.NDArray[np.float64]:
    """From logits [n, classes] to probabilities, or from standardised values [n, 1] to values in their unit."""
    if output.is_number and statistics is not None:
        return raw * statistics["deviation"] + statistics["mean"]
    if output.is_set:
        return np.asarray(0.5 * (1 + np.tanh(raw / 2)))  # the logistic function, without overflow
    return softmax(raw)


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Logits [n, classes] as probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
