"""Which landed rows are left out, and why: every reason is named, no row is lost."""

from collections.abc import Hashable, Iterator

import pandas as pd

from tasks.validate.leaks import content, copies
from tasks.validate.night import Night

Finding = tuple[Hashable, str, str]  # row of `night.landed`, modality ("" = the whole row), reason


def quarantine(night: Night) -> pd.DataFrame:
    """Apply every rule.

    Returns:
        One row per quarantined row, index that of `night.landed`, in landed order: `modality` (of the first finding) and
        `reason` (all findings).
    """
    reasons: dict[Hashable, list[str]] = {}
    modalities: dict[Hashable, str] = {}
    for rule in RULES:
        for row, modality, reason in rule(night):
            reasons.setdefault(row, []).append(reason)
            modalities.setdefault(row, modality)
    rows = [row for row in night.landed.index if row in reasons]
    table = {"modality": [modalities[row] for row in rows], "reason": ["; ".join(reasons[row]) for row in rows]}
    return pd.DataFrame(table, index=pd.Index(rows, dtype="int64"), dtype="str")


def refused(night: Night) -> Iterator[Finding]:
    """What ingest refused."""
    reasons = night.landed["refused"]
    for row, reason in reasons[reasons != ""].items():
        yield row, "", reason


def undecodable(night: Night) -> Iterator[Finding]:
    """Content that its kind cannot read; the sample goes as a whole, since a broken part puts the others in doubt."""
    for name, profile in night.profiles.items():
        for row, reason in profile.loc[~profile["ok"], "reason"].items():
            yield row, name, f"{name}: {reason}"


def unknown_label(night: Night) -> Iterator[Finding]:
    """A label that is none of the target's classes, or no number."""
    for target, output in night.outputs.items():
        labels = night.taken[target].dropna()
        problems = {label: problem for label in labels.unique() if (problem := output.problem(target, label))}
        for row, label in labels[labels.isin(list(problems))].items():
            yield row, "", problems[label]


def out_of_step(night: Night) -> Iterator[Finding]:
    """Modalities that were not recorded together: their times are further apart than `validate.max_skew_s`."""
    taken, limit = night.taken, night.params.validate.max_skew_s
    times = taken[["timestamp", *(f"{name}_timestamp" for name in night.params.modalities)]].astype(float)
    own = times["timestamp"].fillna(times.iloc[:, 1:].bfill(axis=1).iloc[:, 0])  # the sample's, else its first modality's
    for name in night.params.modalities:
        skew = (times[f"{name}_timestamp"] - own).abs()
        for row, seconds in skew[skew > limit].items():
            yield row, name, f"{name} is {seconds:.3f} s away from the rest of its sample, at most {limit} s are allowed"


def repeated_id(night: Night) -> Iterator[Finding]:
    """A sample_id that an earlier batch has used: the copy in train stays, else the first."""
    taken = night.taken
    order = taken.assign(later=taken["part"] != "train").sort_values("later", kind="stable")
    first = order.drop_duplicates("sample_id").set_index("sample_id")["batch"]
    again = order.loc[order.duplicated("sample_id"), "sample_id"].sort_index()
    for row, sample in again.items():
        yield row, "", f"sample_id {sample!r} stands in batch {first[sample]} too"


def copied_content(night: Night) -> Iterator[Finding]:
    """The same content on both sides of a split (see `leaks`)."""
    for row in copies(content(night), night.landed["part"], night.seniority):
        yield row, "", "its content stands in another split too, under another sample_id"


RULES = (refused, undecodable, unknown_label, out_of_step, repeated_id, copied_content)
