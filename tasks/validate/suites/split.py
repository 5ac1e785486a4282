"""Whether there is enough of everything to learn and to judge."""

import pandas as pd

from tasks.splits import Requirement, requirements, thinned
from tasks.validate.great import Check, Table, gxe
from tasks.validate.night import Night
from tasks.validate.verdicts import Sorted
from tasks.validate.window import advice


def table(night: Night, rows: Sorted) -> Table:
    """One row per requirement: its name, `measured` and `needed` (see `splits.requirements`)."""
    labelled = night.landed.loc[rows.labelled]
    parts = thinned(labelled, labelled["part"], night.params.split, night.params.seed)
    found = requirements(labelled, parts, night.params)
    for name in night.params.modalities:
        count = int(labelled.loc[parts == "train", f"has_{name}"].sum())
        found.append(Requirement(f"train samples with {name}", count, 1, f"land some, or take {name} out of params.yaml"))
    if out := advice(night.params.split):
        found.append(Requirement("train samples in the window", int((parts == "train").sum()), 1, out))
    frame = pd.DataFrame({"requirement": [r.name for r in found], "measured": [r.measured for r in found]})
    frame["needed"] = [r.needed for r in found]
    unmet = list(dict.fromkeys(r.advice for r in found if r.measured < r.needed))
    check = Check(
        "enough to split, learn and judge",
        "critical",
        gxe.ExpectColumnPairValuesAToBeGreaterThanB,
        {"column_A": "measured", "column_B": "needed", "or_equal": True, "ignore_row_if": "neither"},
        "measured at least needed",
        "; ".join(unmet),
    )
    return Table("split", frame, [check], index=("requirement",))
