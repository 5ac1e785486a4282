"""Which samples teach, which choose, which say how sure answers may be, which judge: train, val, calibration and test.

- A given split is kept. When no row is given `val`, it is carved out of the given `train` rows.
- `split.calibration` of val's groups are set aside, where there are enough: temperatures are fitted to them, and nothing else.
- Any other row gets its split from a hash of its own group (or of its sample_id, when it has none), so that it keeps it
  whoever comes or goes, and encoders fitted on the reference alone agree with every later night.
- A table with timestamps and no group at all is split by time: train, then val, then test, `split.embargo_s` apart.
  Cuts lie at shares of the rows known so far, so they move forward when nights land in the order of time; that no
  encoder has seen what is val or test today is among validate's expectations.
- `split.fold` asks for k-fold by group: fold i of `split.folds` is the test set.
- `split.train_share` leaves train's groups out by a hash of their own, so that the samples of a smaller share are among those
  of a larger one, and what is judged stays as it is. A table that is split by time is thinned by its rows' own ids: the same
  span of time, so that it tells what an amount is worth and not what age is (`split.window_s` keeps the newest).
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tasks.errors import ContractBroken
from tasks.events import fold
from tasks.index import Batch
from tasks.params import Params, Split
from tasks.raw import read_samples
from tasks.targets import SEPARATOR, Output, Target, names, number

PARTS = ("train", "val", "calibration", "test")
NEEDED = ("train", "val", "test")
HELD_OUT = ("val", "calibration", "test")
ENOUGH = 40  # groups of val, from which on some are set aside: with fewer, choosing a model needs them all
NONE = ""  # in no part: unlabelled, in the embargo, left out of train, or without the timestamp that its table is split by


def assign(samples: pd.DataFrame, split: Split, seed: int) -> pd.Series:
    """Give each row its split, as if all of train were used (see `used`).

    Args:
        samples: labelled rows with `sample_id`, `group`, `split` ("" when not given) and `timestamp` (s, NaN when not given).
        split: shares, folds and the embargo.
        seed: of the hash.

    Returns:
        One of `PARTS`, or "" (in no part), aligned with `samples`.
    """
    given = samples["split"].fillna("")
    parts = given.copy()
    free = given == ""
    timed = by_time(samples, split)
    held_out = split.test if split.fold is None else 1 / split.folds
    if timed:
        parts[free] = _cut_by_time(samples.loc[free, "timestamp"], split.val, split.test, split.embargo_s)
    else:
        parts[free] = _hashed(groups(samples[free]), split, split.val / (1 - held_out), seed)
    if not (given == "val").any():
        carved = _carved(samples[given == "train"], split, seed, timed)
        parts[carved.index] = carved
    return parts.mask(_set_aside(samples, parts, split, seed), "calibration")


def groups(samples: pd.DataFrame) -> pd.Series:
    """Each row's group, which is never empty: a row without one is its own group."""
    group = samples["group"].fillna("")
    return group.where(group != "", samples["sample_id"])


def by_time(samples: pd.DataFrame, split: Split) -> bool:
    """Say whether a table is split by time: timestamps, no group at all, and no fold asked for."""
    return split.fold is None and not (samples["group"].fillna("") != "").any() and bool(samples["timestamp"].notna().any())


def share(seed: int, purpose: str, group: str) -> float:
    """A number in [0, 1) that depends on these three alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{purpose}:{group}".encode()).digest()[:7]) / 2**56


def used(samples: pd.DataFrame, split: Split, seed: int) -> pd.Series:
    """Which rows `split.train_share` lets teach, if they are train, whole groups: bool, aligned with `samples`."""
    if split.train_share == 1:
        return pd.Series(True, index=samples.index)
    names = groups(samples)
    drawn = {group: share(seed, "train", group) < split.train_share for group in names.unique()}
    return names.map(drawn).astype(bool)


def thinned(samples: pd.DataFrame, parts: pd.Series, split: Split, seed: int) -> pd.Series:
    """The parts, "" for a row of train that is left out; val, calibration and test judge on all rows."""
    return parts.mask((parts == "train") & ~used(samples, split, seed), NONE)


def unthinned(params: Params) -> Params:
    """The same with all of train. What is answered comes of it, else a class that is left out would be unknown in test."""
    return replace(params, split=replace(params.split, train_share=1.0))


def _hashed(names: pd.Series, split: Split, val: float, seed: int) -> pd.Series:
    def part(group: str) -> str:
        drawn = share(seed, "test", group)
        held_out = drawn < split.test if split.fold is None else int(drawn * split.folds) == split.fold
        if held_out:
            return "test"
        return "val" if share(seed, "val", group) < val else "train"

    return names.map({group: part(group) for group in names.unique()})


def _carved(train: pd.DataFrame, split: Split, seed: int, timed: bool) -> pd.Series:
    """Val out of rows that were given as train; `split.val` is a share of these."""
    if timed:
        return _cut_by_time(train["timestamp"], split.val, 0.0, split.embargo_s)
    names = groups(train)
    return names.map({group: "val" if share(seed, "val", group) < split.val else "train" for group in names.unique()})


def _set_aside(samples: pd.DataFrame, parts: pd.Series, split: Split, seed: int) -> pd.Series:
    """Which rows of val are set aside for calibration, whole groups: bool, aligned with `samples`."""
    names = groups(samples[parts == "val"])
    if names.nunique() < ENOUGH:
        return pd.Series(False, index=samples.index)
    drawn = {group: share(seed, "calibration", group) < split.calibration for group in names.unique()}
    return names.map(drawn).reindex(samples.index, fill_value=False).astype(bool)


def _cut_by_time(times: pd.Series, val: float, test: float, embargo_s: float) -> pd.Series:
    """Train before val before test; equal times stay together; the embargo is taken from the earlier side."""
    parts = pd.Series(NONE, index=times.index, dtype=object)
    known = times.dropna()
    if known.empty:
        return parts
    # Lowest time of val and of test. A share of 0 leaves that part empty.
    cuts = [float(np.quantile(known, 1 - later, method="higher")) if later else np.inf for later in (val + test, test)]
    val_from, test_from = cuts
    parts[times < min(val_from, test_from) - embargo_s] = "train"
    parts[(times >= val_from) & (times < test_from - embargo_s)] = "val"
    parts[times >= test_from] = "test"
    return parts


def landed_rows(batches: list[Batch], params: Params) -> pd.DataFrame:
    """All landed rows as in `read_samples`; a target or a modality that no batch had yet is null or False in all of them."""
    samples: pd.DataFrame = read_samples(batches).to_pandas()
    for name in params.targets:
        if name not in samples:
            samples[name] = pd.Series(None, index=samples.index, dtype="str")
    for name in params.modalities:
        has = samples[f"has_{name}"] if f"has_{name}" in samples else pd.Series(False, index=samples.index)
        samples[f"has_{name}"] = has.eq(True).astype(bool)
        if f"{name}_timestamp" not in samples:
            samples[f"{name}_timestamp"] = np.nan
    return samples


def labelled(samples: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Rows that ingest took and that have a label of at least one target."""
    return samples[(samples["refused"] == "") & samples[list(params.targets)].notna().any(axis=1)]


def training_rows(batches: list[Batch], params: Params) -> pd.DataFrame:
    """What encoders see: the train rows of these batches, sorted by sample_id, columns as in `read_samples`.

    They are the labelled ones, and where `pretrain.objective` needs no labels the unlabelled ones too. No other row has a say
    in it (but for the cuts of a split by time, and for a group that is judged, whose unlabelled rows stay out), and no event of
    another batch: moving the reference folds what has landed since. That is why rows which would be carved out as val stay
    out even where the table brings its own val; `split.val: 0` lets them in.

    Raises:
        ContractBroken: no such row, or labels of one class, numbers of one value only.
    """
    rows = encoder_part(fold(landed_rows(batches, params), batches, params).samples, params)
    rows = rows.sort_values("sample_id", ignore_index=True)
    for target, body in params.targets.items():
        what, found = "number(s)" if body.type == "regression" else "class(es)", answers(rows[target], body)
        if len(found) < 2:
            seen = ", ".join(found) or "none"
            raise ContractBroken(
                f"the reference's {len(rows)} train rows hold {len(found)} {what} of {target!r} ({seen}), at least 2 are"
                " needed: land more of them, or move the reference"
            )
    return rows


def answered(batches: list[Batch], rows: pd.DataFrame, params: Params) -> dict[str, Output]:
    """What encoders answer: the `outputs` of the train rows of these batches, those that `split.train_share` leaves out too.

    Args:
        batches: the reference.
        rows: its `training_rows`.
        params: what params.yaml says.
    """
    whole = unthinned(params)
    return outputs(rows if whole == params else training_rows(batches, whole), params)


def training_part(samples: pd.DataFrame, params: Params) -> pd.DataFrame:
    """The labelled rows of `training_rows` in landed order, out of a table as in `read_samples`, whose index they keep."""
    rows = _train(labelled(samples, params), params)
    return rows[used(rows, params.split, params.seed)]


def _train(rows: pd.DataFrame, params: Params) -> pd.DataFrame:
    given = rows["split"].fillna("")
    train = rows[assign(rows, params.split, params.seed) == "train"]
    if (given == "val").any():
        carved = _carved(rows[given == "train"], params.split, params.seed, by_time(rows, params.split))
        train = train.drop(carved.index[carved != "train"], errors="ignore")
    return train.drop_duplicates("sample_id")


def encoder_part(samples: pd.DataFrame, params: Params) -> pd.DataFrame:
    """What encoders are fitted on: `training_part`, and where `pretrain.objective` needs no labels `unlabelled_part` too."""
    known = training_part(samples, params)
    if params.pretrain.objective == "supervised":
        return known
    return pd.concat([known, unlabelled_part(samples, params)])


def unlabelled_part(samples: pd.DataFrame, params: Params) -> pd.DataFrame:
    """The unlabelled rows that would be train if a label came, in landed order; columns and index as in `samples`.

    In a table that is split by time they are those not later than the last labelled row that the cut made train. A sample or a
    group that also stands in val or test is left out.
    """
    known = labelled(samples, params)
    train = training_part(samples, unthinned(params))
    rows: pd.DataFrame = samples[(samples["refused"] == "") & ~samples.index.isin(known.index)]
    rows = rows[~rows["sample_id"].isin(known["sample_id"]) & ~groups(rows).isin(groups(known.drop(train.index)))]
    if by_time(known, params.split):
        early = rows["timestamp"] <= train.loc[train["split"].fillna("") == "", "timestamp"].max()
        rows = rows[early & rows["split"].fillna("").isin(["", "train"])]
        rows = rows.drop_duplicates("sample_id")
    else:
        rows = rows[rows.index.isin(_train(rows.assign(timestamp=np.nan), params).index)]
    return rows[used(rows, params.split, params.seed)]


def outputs(training: pd.DataFrame, params: Params) -> dict[str, Output]:
    """What is answered for each target. Its classes are those of params.yaml, else those of the training rows, sorted."""
    found = {}
    for name, target in params.targets.items():
        seen = [] if target.type == "regression" else sorted(single(training[name], target).unique().tolist())
        found[name] = Output(target.type, target.classes or tuple(seen))
    return found


def answers(cells: pd.Series, target: Target) -> list[str]:
    """What a target's cells say, each once, sorted as text: numbers, class names, or sets of them; empty cells say nothing."""
    cells = cells.dropna()
    if target.type == "regression":
        return sorted({f"{value:.12g}" for value in cells.map(number).dropna()})
    if target.type == "multilabel":
        return sorted({SEPARATOR.join(sorted(names(cell))) or SEPARATOR for cell in cells})
    return sorted(cells.unique().tolist())


def single(cells: pd.Series, target: Target) -> pd.Series:
    """One class name per row, index that of `cells`: as often as a multilabel cell holds names."""
    cells = cells.dropna()
    return cells.map(names).explode().dropna() if target.type == "multilabel" else cells


@dataclass(frozen=True)
class Requirement:
    """Something that a split needs at least so many of."""

    name: str
    measured: int
    needed: int
    advice: str


def requirements(samples: pd.DataFrame, parts: pd.Series, params: Params) -> list[Requirement]:
    """What it takes to learn and to judge from these labelled rows and their parts."""
    split = params.split
    k_fold = "land more groups"
    if split.fold is None:
        k_fold += f", or try k-fold: split.fold=0 of split.folds={split.folds}"
    free = samples[samples["split"].fillna("") == ""]
    found = []
    if len(free):
        timed = by_time(samples, params.split)
        units = free["timestamp"].dropna() if timed else groups(free)
        what = "distinct timestamps" if timed else "groups"
        needed = split.min_groups if split.fold is None else min(split.min_groups, split.folds)  # a group in each fold
        found.append(Requirement(f"{what} to split", units.nunique(), needed, k_fold))
        found += _per_class(free, params)
    found += [Requirement(f"labelled samples in {part}", int((parts == part).sum()), 1, k_fold) for part in NEEDED]
    return found + [need for name in params.targets for need in _per_target(name, samples, parts, params, k_fold)]


def _per_target(name: str, samples: pd.DataFrame, parts: pd.Series, params: Params, k_fold: str) -> list[Requirement]:
    """What one target needs: something to tell apart in train, and samples that are labelled in it in val and test."""
    cells = samples[name]
    if params.targets[name].type == "regression":
        advice, what = "one value teaches nothing: land samples of others", "distinct values"
    else:
        advice, what = "one class teaches nothing: land samples of others", "classes"
    found = [Requirement(f"{what} of {name} in train", len(answers(cells[parts == "train"], params.targets[name])), 2, advice)]
    if len(params.targets) > 1:
        judged = [(part, int(cells[parts == part].notna().sum())) for part in ("val", "test")]
        found += [Requirement(f"samples of {part} labelled in {name}", count, 1, k_fold) for part, count in judged]
    return found


def _per_class(free: pd.DataFrame, params: Params) -> list[Requirement]:
    """A class needs a group in each part that it is to be in: three, or two with k-fold."""
    needed = 3 if params.split.fold is None else 2
    found = []
    for target in (name for name, body in params.targets.items() if body.type != "regression"):
        cells = single(free[target], params.targets[target])
        counts = groups(free).loc[cells.index].groupby(cells.to_numpy()).nunique()
        advice = (
            f"correct the rare label, land more groups of it, or list targets.{target}.classes: other labels are quarantined"
        )
        found += [Requirement(f"groups of {target}={name}", int(n), needed, advice) for name, n in counts.sort_index().items()]
    return found
