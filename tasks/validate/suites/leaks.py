"""Nothing that is judged may have taught: content and encoders across the splits (for groups see batches.py)."""

import numpy as np
import pandas as pd

from tasks.splits import HELD_OUT, groups
from tasks.validate.great import Check, Table, gxe
from tasks.validate.leaks import content, crossing, dense, near_train
from tasks.validate.night import Night
from tasks.validate.verdicts import Sorted


def table(night: Night, rows: Sorted) -> Table:
    """One row of counts and shares, measured on the labelled accepted samples."""
    labelled = night.landed.loc[rows.labelled]
    part, words = labelled["part"], content(night)
    quantities: dict[str, float] = {
        "contents": len(crossing(words.loc[labelled.index], part)),
        "encoder_rows": int(night.landed.loc[night.encoder_rows, "part"].isin(HELD_OUT).sum()),
        "encoder_twins": _twins(night, labelled, words),
    }
    checks = [
        _none("contents in two splits", "contents", "report this: they should have been quarantined"),
        _none("samples that encoders see, now in val or test", "encoder_rows", "move the reference: older rows landed late"),
        _none(
            "samples in val or test of whose content or group encoders see others",
            "encoder_twins",
            "withdraw the copies (events.csv), or move the reference",
        ),
    ]
    for name in dense(night):
        quantities |= _alike(night, name, part)
        checks += _warnings(night, name)
    return Table("leaks", pd.DataFrame([quantities]).astype(float), checks)


def _twins(night: Night, labelled: pd.DataFrame, words: pd.Series) -> int:
    """How many accepted samples of val and test have the content, or the group, of a row that encoders were fitted on."""
    judged = labelled[labelled["part"].isin(HELD_OUT)]
    fitted = night.landed.loc[night.encoder_rows.difference(judged.index)]
    known = words.loc[fitted.index]
    same = words.loc[judged.index].isin(known[known != ""]) | groups(judged).isin(groups(fitted))
    return int(same.sum())


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
        near = near_train(profile["near"].dropna().to_numpy(np.int64), train[hashed])
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
