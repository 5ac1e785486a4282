"""Nothing that is judged may have taught: content and encoders across the splits (for groups see batches.py)."""

import numpy as np
import pandas as pd

from tasks.validate.great import Check, Table, gxe
from tasks.validate.leaks import content, crossing, dense, near_train
from tasks.validate.night import Night
from tasks.validate.verdicts import Sorted


def table(night: Night, rows: Sorted) -> Table:
    """One row of counts and shares, measured on the labelled accepted samples."""
    labelled = night.landed.loc[rows.labelled]
    part = labelled["part"]
    quantities: dict[str, float] = {
        "contents": len(crossing(content(night).loc[labelled.index], part)),
        "encoder_rows": int(night.landed.loc[night.encoder_rows, "part"].isin(["val", "test"]).sum()),
    }
    checks = [
        _none("contents in two splits", "contents", "report this: they should have been quarantined"),
        _none("samples that encoders see, now in val or test", "encoder_rows", "move the reference: older rows landed late"),
    ]
    for name in dense(night):
        quantities |= _alike(night, name, part)
        checks += _warnings(night, name)
    return Table("leaks", pd.DataFrame([quantities]).astype(float), checks)


def _alike(night: Night, name: str, part: pd.Series) -> dict[str, float]:
    """Shares of the held-out samples with this modality whose bytes, or nearly so, stand in train as well."""
    profile = night.profiles[name]
    profile = profile[profile["ok"] & profile.index.isin(part.index[part != ""])]
    train = (part.loc[profile.index] == "train").to_numpy()
    held_out = max(int((~train).sum()), 1)
    same = profile["sha256"].isin(profile.loc[train, "sha256"]).to_numpy() & ~train
    found = {f"copied_{name}": same.sum() / held_out}
    if night.params.validate.near_duplicates:
        hashed = profile["near"].notna().to_numpy()
        near = near_train(profile["near"].dropna().to_numpy().astype(np.int64), train[hashed])
        found[f"near_{name}"] = near.sum() / held_out
    return found


def _warnings(night: Night, name: str) -> list[Check]:
    most = night.params.validate.quarantine_share
    advice = "are groups missing? Samples of one source belong to one `group`"
    quantities = {f"copied_{name}": f"share of held-out {name} that train holds too"}
    if night.params.validate.near_duplicates:
        quantities[f"near_{name}"] = f"share of held-out {name} that train nearly holds"
    return [
        Check(
            text, "warning", gxe.ExpectColumnMaxToBeBetween, {"column": column, "max_value": most}, f"at most {most:g}", advice
        )
        for column, text in quantities.items()
    ]


def _none(name: str, column: str, advice: str) -> Check:
    return Check(name, "critical", gxe.ExpectColumnMaxToBeBetween, {"column": column, "max_value": 0}, "0", advice)
