"""Each batch on its own: how much of it is lost, and how much is missing."""

import pandas as pd

from tasks.splits import groups
from tasks.targets import Output
from tasks.validate.great import Check, Table, gxe
from tasks.validate.leaks import stray
from tasks.validate.night import Night
from tasks.validate.verdicts import Sorted

REASONS = 3
NAMED = 5


def table(night: Night, rows: Sorted) -> Table:
    """One row per batch: shares of its rows, and how many of its groups an earlier row has put in another split."""
    labelled = night.landed.loc[rows.labelled].sort_index()
    strays = stray(groups(labelled), labelled["part"])
    table = _shares(night, rows)
    counts = strays.groupby(labelled.loc[strays.index, "batch"]).nunique()
    table["stray_groups"] = table["batch"].map(counts).fillna(0).astype(int)
    return Table("batches", table, [*_checks(night, rows), _no_strays(sorted(strays.unique()))], index=("batch",))


def _shares(night: Night, rows: Sorted) -> pd.DataFrame:
    every, taken = night.landed.index, night.landed["refused"] == ""
    broken = pd.Index([row for profile in night.profiles.values() for row in profile.index[~profile["ok"]]])
    shares = pd.DataFrame({"quarantined": every.isin(rows.quarantined.index), "undecodable": every.isin(broken)}, index=every)
    for target, output in night.outputs.items():
        labels = night.landed[target]
        shares[f"unknown_{target}"] = taken & labels.isin([v for v in labels.dropna().unique() if output.problem(target, v)])
    for name in night.params.modalities:
        shares[f"missing_{name}"] = taken & ~night.landed[f"has_{name}"]
    mean = shares.astype(float).groupby(night.landed["batch"]).mean()
    found = mean.reindex([batch.key for batch in night.batches]).fillna(0.0)  # all of it may be withdrawn, or events
    lost = (night.events["refused"] != "").groupby(night.events["batch"]).mean()
    found.loc[lost.index, "quarantined"] = lost
    return found.rename_axis("batch").reset_index()


def _checks(night: Night, rows: Sorted) -> list[Check]:
    limits = night.params.validate
    allowed = limits.quarantine_share
    common = rows.quarantined["reason"].value_counts().head(REASONS)
    why = "; ".join(
        f"{reason} ({number} rows)" for reason, number in sorted(common.items(), key=lambda item: (-item[1], item[0]))
    )
    advice = f"every row's reason is in quarantine.parquet; the commonest: {why}"
    critical = [
        ("share of rows quarantined", "quarantined", advice),
        ("share of rows that cannot be decoded", "undecodable", advice),
        *(_unknown(target, output) for target, output in night.outputs.items()),
    ]
    checks = [_at_most("critical", name, column, allowed, advice) for name, column, advice in critical]
    return checks + [
        _at_most("warning", f"share of rows without {name}", f"missing_{name}", limits.missing_share, "is its source alive?")
        for name in night.params.modalities
    ]


def _unknown(target: str, output: Output) -> tuple[str, str, str]:
    if output.is_number:
        return f"share of rows whose {target} is no number", f"unknown_{target}", "correct the cells, or leave them empty"
    advice = "correct the labels, or move the reference to learn it"
    return f"share of rows with an unknown {target}", f"unknown_{target}", advice


def _at_most(severity: str, name: str, column: str, most: float, advice: str) -> Check:
    arguments = {"column": column, "min_value": 0.0, "max_value": most}
    return Check(name, severity, gxe.ExpectColumnValuesToBeBetween, arguments, f"at most {most:g} in each batch", advice)  # type: ignore[arg-type]


def _no_strays(names: list[str]) -> Check:
    shown = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
    arguments = {"column": "stray_groups", "min_value": 0, "max_value": 0}
    advice = f"give all samples of a group the same split: {shown}" if names else ""
    return Check("groups in two splits", "critical", gxe.ExpectColumnValuesToBeBetween, arguments, "none in any batch", advice)
