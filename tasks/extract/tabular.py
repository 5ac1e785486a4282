"""Rows of a table -> 1 token: standardised numbers with a flag where one is missing, categories by one-hot, two layers.

A time is a number, and a place on each of the circles of day, week and year; a track is the five numbers that the decoder
makes of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs
from tasks.profile.tabular import Options

BATCH = 256
HIDDEN = 64
CLIP = 8.0  # standard deviations
DROPPED = 0.05  # share of values hidden in training
LARGEST = 256  # categories of a column that have a place of their own, the commonest
FLAT = 1e-12  # of the mean: a smaller deviation is what rounding leaves of a constant
PERIODS_S = (86_400.0, 604_800.0, 31_556_952.0)  # day, week, mean year of the Gregorian calendar


def token_count(options: Options) -> int:
    """A row has no parts."""
    return 1


def fit_facts(arrays: Sequence[npt.NDArray[np.float64]], options: Options) -> dict[str, Any]:
    """Mean and deviation of each plain value, the commonest identities of each category; empty cells have no say."""
    table = np.stack(arrays)
    numbers, categories = table[:, : options.plain], table[:, options.plain :]
    means, deviations = [], []
    for column in numbers.T:
        filled = column[~np.isnan(column)]
        means.append(float(filled.mean()) if len(filled) else 0.0)
        spread = float(filled.std()) if len(filled) else 0.0
        deviations.append(spread if spread > FLAT * abs(means[-1]) else 1.0)  # a constant has no scale of its own
    return {"mean": means, "deviation": deviations, "known": [_commonest(column) for column in categories.T]}


def _commonest(column: npt.NDArray[np.float64]) -> list[int]:
    found, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    order = sorted(zip(-counts, found, strict=True))[:LARGEST]
    return sorted(int(identity) for _, identity in order)


def prepare(array: npt.NDArray[np.float64], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """`row` float32 [2 x plain + 6 x times + sum(known + 2)].

    Values, flags of missing ones, sine and cosine of each time in each period (0 where it is missing), one-hot of each
    category with places for empty and unknown.
    """
    return {key: values[0] for key, values in prepare_many([array], options, facts).items()}


def prepare_many(arrays: Sequence[npt.NDArray[np.float64]], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """The same of each, stacked."""
    table = np.asarray(arrays)
    numbers = table[:, : options.plain]
    empty = np.isnan(numbers)
    scaled = np.clip((numbers - np.array(facts["mean"])) / np.array(facts["deviation"]), -CLIP, CLIP)
    times = table[:, len(options.numbers) : len(options.numbers) + len(options.times)]
    parts = [np.where(empty, 0, scaled), empty, np.nan_to_num(_circles(times))]
    for identities, known in zip(table[:, options.plain :].T, facts["known"], strict=True):
        parts.append(_one_hot(identities, known))
    rows = np.concatenate(parts, axis=1, dtype=np.float32)
    return {"row": rows, "mask": np.ones((len(rows), 1), dtype=bool), "time": np.zeros((len(rows), 1), dtype=np.float32)}


def _circles(times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of times [n, t] their sines by time and period, then their cosines: [n, 6 x t]."""
    angles = (2 * np.pi * times[:, :, None] / PERIODS_S).reshape(len(times), -1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def _one_hot(identities: npt.NDArray[np.float64], known: Sequence[int]) -> npt.NDArray[np.bool_]:
    """[n, 2 + known]: the first place is for an empty cell, the second for an unknown category."""
    sorted_ones = np.array([*known, np.inf])  # `fit_facts` sorted them; NaN comes behind them all
    at = np.minimum(np.searchsorted(sorted_ones, identities), len(known))
    places = np.where(np.isnan(identities), 0, np.where(sorted_ones[at] == identities, 2 + at, 1))
    return np.asarray(places[:, None] == np.arange(2 + len(known)))


def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Hide some values, so that no single cell decides."""
    hidden = torch.rand(inputs["row"].shape, generator=generator) < DROPPED
    return {**inputs, "row": inputs["row"].masked_fill(hidden, 0)}


class Encoder(nn.Module):
    """Two layers."""

    def __init__(self, options: Options, facts: Mapping[str, Any], width: int, dropout: float) -> None:
        """Make the layers.

        Args:
            options: of the modality.
            facts: from `fit_facts`.
            width: of the token.
            dropout: share of features hidden in training.
        """
        super().__init__()
        circles = 2 * len(PERIODS_S) * len(options.times)
        inside = 2 * options.plain + circles + sum(len(known) + 2 for known in facts["known"])
        self.layers = nn.Sequential(
            nn.Linear(inside, HIDDEN), nn.ReLU(), nn.Dropout(dropout), nn.Linear(HIDDEN, width), nn.ReLU()
        )

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """`row` float32 [b, n] -> tokens float32 [b, 1, width]."""
        tokens: Tensor = self.layers(inputs["row"]).unsqueeze(1)
        return tokens
