"""The measured columns of each modality, over the accepted samples."""

import sys

from tasks.validate.drift import measures
from tasks.validate.great import Check, Table, gxe
from tasks.validate.night import Night
from tasks.validate.verdicts import Sorted

SHA256 = "^[0-9a-f]{64}$"


def tables(night: Night, rows: Sorted) -> list[Table]:
    """One table per modality that any accepted sample has."""
    found = []
    for name, profile in night.profiles.items():
        accepted = profile[profile.index.isin(rows.manifest.index)]
        if len(accepted):
            found.append(Table(f"profile_{name}", accepted.drop(columns="near"), _checks(name, measures(profile))))
    return found


def _checks(name: str, columns: list[str]) -> list[Check]:
    checks = [
        Check(
            f"samples of {name}", "critical", gxe.ExpectColumnValuesToBeUnique, {"column": "sample_id"}, "profiled once each"
        ),
        Check(
            f"sha256 of {name}", "critical", gxe.ExpectColumnValuesToMatchRegex, {"column": "sha256", "regex": SHA256}, "hex"
        ),
        Check(
            f"length of {name}", "warning", gxe.ExpectColumnValuesToBeBetween, {"column": "duration_s", "min_value": 0}, "≥ 0 s"
        ),
    ]
    for column in columns:
        finite = {"column": column, "min_value": -sys.float_info.max, "max_value": sys.float_info.max}
        checks += [
            Check(f"{column} of {name}", "warning", gxe.ExpectColumnValuesToNotBeNull, {"column": column}, "measured"),
            Check(f"range of {column} of {name}", "warning", gxe.ExpectColumnValuesToBeBetween, finite, "finite"),
        ]
    return checks
