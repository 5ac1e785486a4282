"""How far each measured column of a new batch lies from the reference."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.splits import groups
from tasks.validate.night import PROFILED, Night

FEWEST = 20  # values on either side; the distance of smaller samples is mostly chance
COLUMNS = ("batch", "modality", "column", "distance", "median", "samples", "independent")


def measures(profile: pd.DataFrame) -> list[str]:
    """Names of a profile's measured columns."""
    return [name for name in profile.columns if name not in PROFILED]


def drift(night: Night) -> pd.DataFrame:
    """One row per new batch, modality and measured column.

    Returns:
        `batch`, `modality`, `column`, `distance`: the two-sample Kolmogorov-Smirnov statistic, in [0, 1]; and of the reference
        and the batch, in this order, `median`, `samples`: how many values, `independent`: how many of these if those of a group
        are all alike.
    """
    rows: list[tuple[Any, ...]] = []
    group = pd.Series(pd.factorize(groups(night.landed))[0], index=night.landed.index)
    for name, profile in night.profiles.items():
        ok = profile[profile["ok"]]
        for column in measures(profile):
            values = ok[column].astype(float)
            values = values[np.isfinite(values)]
            batches = ok.loc[values.index, "batch"]
            reference = values[batches.isin(night.reference)].sort_values()
            if len(reference) < FEWEST:
                continue
            known = _told(reference, group)
            for batch in night.new:
                here = values[batches == batch].sort_values()
                if len(here) >= FEWEST:
                    distance = apart(here.to_numpy(), reference.to_numpy())
                    rows.append((batch, name, column, distance, *map(list, zip(known, _told(here, group), strict=True))))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _told(values: pd.Series, group: pd.Series) -> tuple[float, int, float]:
    return float(values.median()), len(values), independent(group[values.index].to_numpy())


def apart(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """The two-sample Kolmogorov-Smirnov statistic of sorted values."""
    every = np.concatenate([one, other])
    here, there = (each.searchsorted(every, "right") / len(each) for each in (one, other))
    return float(np.abs(here - there).max())


def independent(group: npt.NDArray[np.int64]) -> float:
    """How many independent samples tell as much as these, where all of a group are alike: no more than there are groups.

    The effective sample size of weights, sum^2 / sum of squares (Kish, "Survey Sampling", 1965, §8.2), over the groups' sizes.
    """
    sizes = np.unique(group, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())
