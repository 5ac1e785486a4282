"""Logistic regression, for a value ridge regression, on the pooled features of all modalities: what any fusion must beat."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken
from tasks.features import Features
from tasks.standard import NAMES, Statistics, answer, prior_of, standardised, statistics_of
from tasks.tables import labelled
from tasks.targets import Output
from tasks.train.balance import recalibration, weights
from tasks.train.card import Card, are_statistics, described, read_card, read_weights, write_weights
from tasks.train.inputs import Inputs, present
from tasks.train.neural import ROWS, Answers, complete

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # C, the inverse weight of L2; the best on validation data is kept
NEVER = np.float32(-1e4)  # logit of a class that the train split does not have: probability 0, and finite

Array = npt.NDArray[Any]


class Logistic:
    """Multinomial logistic regression, or ridge regression of the standardised value, both with an L2 penalty.

    Coefficients are arrays, applied with numpy.
    """

    def __init__(self, card: Card, tensors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Take the card and the arrays: `mean` and `scale` [columns], `<target>.weight` and `<target>.bias`."""
        self.card, self.tensors = card, dict(tensors)

    @classmethod
    def fit(cls, train: Inputs, val: Inputs, outputs: Mapping[str, Output], balance: str = "none") -> "Logistic":
        """Fit each target; its C is the one with the lowest log-loss, or squared error, on validation data.

        Where `train.balance` is asked for, classes are weighted and the intercepts recalibrated (see balance.py).

        Memory, beside the features: two copies of the pooled ones, 16 bytes per column and sample.
        """
        widths = {m: body.tokens.shape[2] for m, body in sorted(train.features.items())}
        X = _pooled(train.features)
        mean, scale = _measured(X)
        X = _standard(X, mean, scale)
        V = _standard(_pooled(val.features), mean, scale)
        tensors, curve, chosen, iterations = {"mean": mean, "scale": scale}, [], {}, 0
        statistics: Statistics = {}
        for target, output in sorted(outputs.items()):
            y, v = train.labels(target), val.labels(target)
            if output.is_number:
                statistics[target] = statistics_of(y)
                y, v = (standardised(values, statistics[target]) for values in (y, v))
                trials = [_ridge(X, V, y, v, C) for C in STRENGTHS]
            elif output.is_set:
                trials = [_each(X, V, y, v, C) for C in STRENGTHS]
            else:
                trials = [_trial(X, V, y, v, output.width, C, balance != "none") for C in STRENGTHS]
            best = min(range(len(trials)), key=lambda i: (trials[i]["val_loss"], STRENGTHS[i]))
            tensors[f"{target}.weight"], tensors[f"{target}.bias"] = trials[best]["weight"], trials[best]["bias"]
            chosen[target] = STRENGTHS[best]
            iterations += sum(trial["iterations"] for trial in trials)
            curve += [{"strength": C, "val_loss": trial["val_loss"]} for C, trial in zip(STRENGTHS, trials, strict=True)]
        size = sum(array.size for name, array in tensors.items() if "." in name)
        settings = {"strength": chosen} | ({"statistics": statistics} if statistics else {})
        card = Card("logistic", "logistic", list(widths), widths, described(outputs), size, iterations, curve, settings)
        return cls(card, tensors)

    def predict(self, features: Mapping[str, Features]) -> Answers:
        """Per target probabilities float64 [n, classes] or values [n, 1]; see `Neural.predict` for arguments and errors."""
        X = _standard(_pooled(complete(features, self.card)), self.tensors["mean"], self.tensors["scale"])
        statistics = self.card.settings.get("statistics", {})
        return {
            t: answer(_linear(X, self.tensors[f"{t}.weight"], self.tensors[f"{t}.bias"]), output, statistics.get(t))
            for t, output in self.card.outputs.items()
        }

    def fused(self, features: Mapping[str, Features]) -> npt.NDArray[np.float64]:
        """Standardised columns, each times the length of its weights over all targets, float64 [n, columns]; see `predict`.

        A column that no answer depends on keeps nobody apart.
        """
        X = _standard(_pooled(complete(features, self.card)), self.tensors["mean"], self.tensors["scale"])
        weights = np.concatenate([self.tensors[f"{target}.weight"] for target in self.card.targets]).astype(np.float64)
        X *= np.sqrt(np.square(weights).sum(axis=0))
        return np.asarray(X)

    def save(self, folder: Path) -> None:
        """Write candidate.json and weights.safetensors into a folder."""
        self.card.write(folder)
        write_weights(folder, self.tensors)

    @classmethod
    def load(cls, folder: Path) -> "Logistic":
        """Read what `save` wrote.

        Raises:
            ContractBroken: card and weights do not belong together.
        """
        card = read_card(folder)
        columns = sum(card.widths.values()) + len(card.widths)
        shapes: dict[str, tuple[int, ...]] = {"mean": (columns,), "scale": (columns,)}
        for target, size in card.sizes.items():
            shapes |= {f"{target}.weight": (size, columns), f"{target}.bias": (size,)}
        settings = {**card.settings}
        whole = not card.values or are_statistics(settings.pop("statistics", None), card.values, NAMES)
        if not whole or set(settings) != {"strength"}:
            raise ContractBroken(f"{folder}: the settings of a logistic regression must be `strength`, got {card.settings!r}")
        return cls(card, read_weights(folder, shapes))


def _pooled(features: Mapping[str, Features]) -> Array:
    """Mean tokens, NaN where the modality is missing, and presence flags, modality by modality: float64 [n, columns].

    Memory: the answer (8 bytes per column), and some rows' tokens.
    """
    bodies = [body for _, body in sorted(features.items())]
    columns = np.empty((len(bodies[0].mask), sum(body.tokens.shape[2] + 1 for body in bodies)))
    at = 0
    for body in bodies:
        width = body.tokens.shape[2]
        for start in range(0, len(columns), ROWS):
            part = slice(start, start + ROWS)
            columns[part, at : at + width] = _means(body.tokens[part], body.mask[part])
        columns[:, at + width] = present(body)
        at += width + 1
    return columns


def _means(tokens: Array, mask: Array) -> Array:
    total = np.where(mask[:, :, None], tokens, 0).sum(axis=1, dtype=np.float64)
    count = mask.sum(axis=1)[:, None]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _measured(pooled: Array) -> tuple[Array, Array]:
    """Mean and scale of each column over the samples that have it; a constant column keeps the scale 1."""
    mean, scale = np.zeros(pooled.shape[1], np.float32), np.ones(pooled.shape[1], np.float32)
    for number, column in enumerate(pooled.T):
        seen = column[np.isfinite(column)]
        if len(seen):
            mean[number] = seen.mean()
            scale[number] = seen.std() if seen.std() > 1e-6 else 1.0
    return mean, scale


def _standard(pooled: Array, mean: Array, scale: Array) -> Array:
    """Standardise in place; a missing modality stands at its mean, its flag tells."""
    pooled -= mean
    pooled /= scale
    pooled[np.isnan(pooled)] = 0.0
    return pooled


def _linear(inputs: Array, weight: Array, bias: Array) -> npt.NDArray[np.float64]:
    return np.asarray(inputs @ weight.T.astype(np.float64) + bias)


def _trial(fitted: Array, held: Array, y: Array, v: Array, classes: int, strength: float, balanced: bool) -> dict[str, Any]:
    """Fit classes with one C on the labelled rows, and its log-loss on the labelled validation rows."""
    from sklearn.linear_model import LogisticRegression

    rows, judged = labelled(y), labelled(v)
    seen = np.unique(y[rows])
    if len(seen) < 2:
        raise ContractBroken(f"the train split holds {len(seen)} class of a target: at least two are needed to fit anything")
    even = "balanced" if balanced else None
    model = LogisticRegression(C=strength, max_iter=2000, tol=1e-5, class_weight=even).fit(fitted[rows], y[rows])
    coefficients, intercept = model.coef_, model.intercept_
    if len(seen) == 2:  # sklearn gives one row for two classes: the logit of the second
        coefficients, intercept = np.concatenate([-coefficients, coefficients]) / 2, np.append(-intercept, intercept) / 2
    weight = np.zeros((classes, fitted.shape[1]), np.float32)
    bias = np.full(classes, NEVER, np.float32)
    weight[seen], bias[seen] = coefficients, intercept
    if balanced:
        prior = np.array(prior_of(y, classes))
        bias += recalibration(prior, prior * weights(prior)).astype(np.float32)
    probabilities = answer(_linear(held[judged], weight, bias), Output("classification"), None)
    loss = -np.log(np.maximum(probabilities[np.arange(judged.sum()), v[judged]], 1e-12)).mean()
    return {"weight": weight, "bias": bias, "val_loss": float(loss), "iterations": int(np.sum(model.n_iter_))}


def _ridge(fitted: Array, held: Array, y: Array, v: Array, strength: float) -> dict[str, Any]:
    """Fit standardised values with one C on the labelled rows, and its mean squared error on the labelled validation rows.

    Hoerl, Kennard, "Ridge Regression", Technometrics 1970; C weighs errors against the penalty as in logistic regression.
    """
    from sklearn.linear_model import Ridge

    rows, judged = labelled(y), labelled(v)
    model = Ridge(alpha=1 / strength, solver="cholesky").fit(fitted[rows], y[rows].astype(np.float64))
    weight, bias = model.coef_[None].astype(np.float32), np.array([model.intercept_], np.float32)
    loss = np.square(_linear(held[judged], weight, bias)[:, 0] - v[judged]).mean()
    return {"weight": weight, "bias": bias, "val_loss": float(loss), "iterations": 1}


def _each(fitted: Array, held: Array, y: Array, v: Array, strength: float) -> dict[str, Any]:
    """Fit each of several labels [n, classes] by itself; one that is always the same in train is always answered so."""
    from sklearn.linear_model import LogisticRegression

    rows, judged = labelled(y), labelled(v)
    weight, bias = np.zeros((y.shape[1], fitted.shape[1]), np.float32), np.full(y.shape[1], NEVER, np.float32)
    iterations = 0
    for label, truth in enumerate(y[rows].T):
        if truth.min() == truth.max():
            bias[label] = NEVER if truth[0] == 0 else -NEVER
            continue
        model = LogisticRegression(C=strength, max_iter=2000, tol=1e-5).fit(fitted[rows], truth)
        weight[label], bias[label] = model.coef_[0], model.intercept_[0]
        iterations += int(model.n_iter_[0])
    said = answer(_linear(held[judged], weight, bias), Output("multilabel"), None)
    right = np.where(v[judged] == 1, said, 1 - said)
    return {
        "weight": weight,
        "bias": bias,
        "val_loss": float(-np.log(np.maximum(right, 1e-12)).mean()),
        "iterations": iterations,
    }
