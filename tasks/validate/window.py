"""The training window: how far back train, and the val that is carved from what was not given, may reach."""

from collections.abc import Sequence

import pandas as pd

from tasks.params import Split
from tasks.splits import NONE


def windowed(samples: pd.DataFrame, parts: pd.Series, batches: Sequence[str], split: Split) -> pd.Series:
    """Take rows that lie outside the window out of train and val; test, and a val that was given, judge on all rows.

    Args:
        samples: landed rows with `batch`, `split`, `timestamp` (s) and `refused`.
        parts: as `splits.assign` gives them, aligned with `samples`.
        batches: keys of the batches of samples in the order in which they were accepted.
        split: names the window; recent is what the data say, no clock.

    Returns:
        The parts, "" for a row outside. Where a window in seconds is asked for, a row without a timestamp is outside.
    """
    inside = pd.Series(True, index=samples.index)
    if split.window_batches is not None:
        inside &= samples["batch"].isin(list(batches)[-split.window_batches :])
    if split.window_s is not None:
        newest = samples.loc[samples["refused"] == "", "timestamp"].max()
        inside &= (newest - samples["timestamp"]) <= split.window_s
    moved = (parts == "train") | (parts.isin(["val", "calibration"]) & (samples["split"].fillna("") != "val"))
    return parts.mask(moved & ~inside, NONE)


def advice(split: Split) -> str:
    """What to do when nothing is left to learn from; "" where there is no window."""
    named = {"split.window_batches": split.window_batches, "split.window_s": split.window_s}
    asked = [f"{name} ({value:g})" for name, value in named.items() if value is not None]
    return f"widen {' and '.join(asked)}, the training window" if asked else ""
