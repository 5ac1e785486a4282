"""The landed rows, sorted into accepted and quarantined."""

from dataclasses import dataclass

import pandas as pd

from tasks.slices import COLUMN
from tasks.splits import HELD_OUT, NONE, groups, thinned, unlabelled_part
from tasks.targets import number
from tasks.validate.leaks import content
from tasks.validate.night import Night
from tasks.validate.quarantine import quarantine
from tasks.validate.window import windowed


@dataclass(frozen=True)
class Sorted:
    """Accepted and quarantined rows; with those withdrawn they are all landed rows. Indexes are those of `night.landed`.

    Attributes:
        manifest: accepted samples sorted by sample_id, columns of data/3_manifest/samples.parquet.
        quarantined: columns of data/3_manifest/quarantine.parquet, in landed order.
        events: the same for events that do not hold.
        labelled: index of the accepted samples with a label of at least one target.
    """

    manifest: pd.DataFrame
    quarantined: pd.DataFrame
    events: pd.DataFrame
    labelled: pd.Index


def sort_rows(night: Night) -> Sorted:
    """Quarantine what breaks a rule and accept the rest."""
    findings = quarantine(night)
    landed = night.landed
    quarantined = landed.loc[findings.index, ["sample_id", "batch", "row"]].join(findings)
    accepted = landed.drop(findings.index).sort_values("sample_id")
    labelled = accepted.index[accepted[list(night.params.targets)].notna().any(axis=1)]
    return Sorted(_manifest(accepted, night), quarantined, _events(night), labelled)


def _events(night: Night) -> pd.DataFrame:
    lost = night.events[night.events["refused"] != ""]
    return lost[["sample_id", "batch", "row"]].assign(modality="", reason=lost["refused"])


def _manifest(accepted: pd.DataFrame, night: Night) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {"sample_id": accepted["sample_id"], "batch": accepted["batch"], "group": groups(accepted)}
    columns["split"] = thinned(accepted, accepted["part"], night.params.split, night.params.seed)
    columns["unlabelled"] = _unlabelled(accepted, night)
    columns["timestamp"] = accepted["timestamp"].astype("float64")
    for target, output in night.outputs.items():
        if output.is_number:
            columns[target] = accepted[target].map(number, na_action="ignore").astype("float64")
        elif output.is_set:
            columns[target] = accepted[target].map(output.numbered, na_action="ignore").astype(object)
        else:
            columns[target] = accepted[target].map({name: place for place, name in enumerate(output.classes)}).astype("Int64")
    for name in night.params.modalities:
        columns[f"has_{name}"] = accepted[f"has_{name}"]
    for name in night.params.validate.slices:
        columns[COLUMN.format(name)] = accepted[name].fillna("").str.strip()
    if night.params.validate.domain:
        columns["domain"] = accepted[night.params.validate.domain].fillna("").str.strip()
    return pd.DataFrame(columns, index=accepted.index)


def _unlabelled(accepted: pd.DataFrame, night: Night) -> pd.Series:
    """Which accepted rows teach what needs no label: they have none, would be train if one came, and copy none that judges."""
    found = pd.Series(False, index=accepted.index)
    if accepted[list(night.params.targets)].notna().any(axis=1).all():
        return found
    parts = pd.Series(NONE, index=night.landed.index)
    parts[unlabelled_part(night.landed, night.params).index] = "train"
    batches = [batch.key for batch in night.batches if batch.of_samples]
    parts = windowed(night.landed, parts, batches, night.params.split)[accepted.index]
    words = content(night)[accepted.index]
    judged = words[accepted["part"].isin(HELD_OUT) & (words != "")]
    return (parts == "train") & ~words.isin(judged)
