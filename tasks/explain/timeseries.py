"""Series: stretches of each channel; one that is hidden is the channel's mean."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.damage.timeseries import Series
from tasks.explain import MOST, runs
from tasks.explain.tints import colour

STRETCHES = 8
DRAWN = 400  # steps of a channel


def _counts(series: Series) -> tuple[int, int]:
    """Stretches, and channels or runs of them."""
    steps, channels = series.values.shape
    return min(STRETCHES, steps), min(channels, MOST // STRETCHES)


def _part(series: Series) -> npt.NDArray[np.int64]:
    """Int64 [t, channels]."""
    steps, channels = series.values.shape
    along, across = _counts(series)
    return runs(steps, along)[:, None] * across + runs(channels, across)[None]


def parts(series: Series) -> int:
    """Stretches by channels."""
    along, across = _counts(series)
    return along * across


def hidden(series: Series, gone: npt.NDArray[np.bool_], facts: Mapping[str, Any]) -> Series:
    """Stretches at the channel's mean."""
    mean = series.values.mean(axis=0, dtype=np.float64).astype(np.float32)
    return replace(series, values=np.where(gone[_part(series)], mean, series.values))


def draw(axes: Any, series: Series, tint: npt.NDArray[np.float64]) -> None:
    """Channels one below the other, their stretches tinted."""
    steps, channels = series.values.shape
    along, across = _counts(series)
    shown = np.linspace(0, steps - 1, min(steps, DRAWN)).round().astype(int)
    low, high = series.values.min(axis=0), series.values.max(axis=0)
    for channel, at in enumerate(runs(channels, across)):
        for stretch in range(along):
            edges = stretch * steps / along, (stretch + 1) * steps / along
            worth = tint[stretch * across + at]
            axes.axvspan(*edges, channel / channels, (channel + 1) / channels, color=colour(worth), alpha=0.8, linewidth=0)
        values = (series.values[shown, channel] - low[channel]) / max(high[channel] - low[channel], 1e-12)
        axes.plot(shown, channel + 0.1 + 0.8 * values, color="black", linewidth=0.6)
    axes.set(xlim=(0, steps), ylim=(0, channels), xticks=[], yticks=[])
