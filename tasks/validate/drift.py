"""How far each measured column of a new batch lies from the reference."""

import pandas as pd
from scipy.stats import ks_2samp

from tasks.validate.night import PROFILED, Night

FEWEST = 20  # values on either side; the distance of smaller samples is mostly chance


def measures(profile: pd.DataFrame) -> list[str]:
    """Names of a profile's measured columns."""
    return [name for name in profile.columns if name not in PROFILED]


def drift(night: Night) -> pd.DataFrame:
    """One row per new batch, modality and measured column.

    Returns:
        `batch`, `modality`, `column`, `distance`: the two-sample Kolmogorov-Smirnov statistic, in [0, 1].
    """
    rows = []
    for name, profile in night.profiles.items():
        ok = profile[profile["ok"]]
        for column in measures(profile):
            values = ok[column].astype(float).dropna()
            batches = ok.loc[values.index, "batch"]
            reference = values[batches.isin(night.reference)]
            for batch in night.new:
                here = values[batches == batch]
                if min(len(here), len(reference)) >= FEWEST:
                    distance = float(ks_2samp(here, reference, method="asymp").statistic)
                    rows.append((batch, name, column, distance))
    return pd.DataFrame(rows, columns=["batch", "modality", "column", "distance"])
