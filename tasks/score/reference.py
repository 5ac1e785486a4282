"""What a version was trained on, as far as a batch is compared with it; read from the workspace of the version's commit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tasks.bundle import Bundle
from tasks.errors import NoData
from tasks.index import partitions, read_index
from tasks.paths import MANIFEST, PROFILES, REPORTS
from tasks.score.answers import said
from tasks.score.drift import GROUP
from tasks.score.look import DURATION
from tasks.splits import share
from tasks.tables import read_answer
from tasks.train.inputs import read_samples_of
from tasks.validate.drift import measures

MOST = 10_000  # rows that are compared
FIXED = ("sample_id", "batch")


@dataclass(frozen=True)
class Reference:
    """Training data beside which batches are laid.

    Attributes:
        inputs: of train samples `group`, and a column `<modality> <measure>` per measured number, NaN where there is none.
        outputs: of test samples `group`, and what the version decides for each target.
        known: ids of all samples that it was fitted to, chosen by or judged with.
    """

    inputs: pd.DataFrame
    outputs: pd.DataFrame
    known: frozenset[str] = field(repr=False)


def read_reference(bundle: Bundle) -> Reference:
    """Read manifest, profiles and test predictions of the night that made a bundle.

    Raises:
        NoData: a file is absent.
    """
    every = pq.read_table(MANIFEST / "samples.parquet", columns=["sample_id"])
    train = _few(read_samples_of(["train"]).select([*FIXED, GROUP]).to_pandas())
    for modality in bundle.modalities:
        train = train.merge(_measured(modality, train), on=list(FIXED), how="left")
    return Reference(train.drop(columns=list(FIXED)), _decided(bundle), frozenset(every["sample_id"].to_pylist()))


def _few(rows: pd.DataFrame) -> pd.DataFrame:
    """At most MOST of the rows: groups by chance, each as a whole."""
    if len(rows) <= MOST:
        return rows
    return rows.loc[keys(rows[GROUP]).sort_values(kind="stable").index[:MOST]]


def keys(groups: pd.Series) -> pd.Series:
    """A number in [0, 1) per group, by which some are chosen whoever comes or goes."""
    return groups.map({group: share(0, "drift", group) for group in groups.unique()})


def _measured(modality: str, wanted: pd.DataFrame) -> pd.DataFrame:
    """`sample_id`, `batch` and what was measured of a modality, of the wanted rows that have it."""
    tables = [pd.DataFrame(columns=list(FIXED))]
    for batch, partition in partitions(read_index(), modality):
        if (wanted["batch"] == batch.key).any():
            path = PROFILES / modality / f"{partition.stem}.parquet"
            if not path.is_file():
                raise NoData(f"{path} is not here: `dvc pull {PROFILES / modality}`")
            profile = pq.read_table(path).to_pandas().assign(batch=batch.key)
            ours = profile[profile["ok"] & profile["sample_id"].isin(wanted["sample_id"])]
            tables.append(renamed(modality, ours[[*FIXED, *measures(ours), DURATION]]))
    return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]


def renamed(modality: str, measured: pd.DataFrame) -> pd.DataFrame:
    """Measured columns as the reference calls them."""
    return measured.rename(columns={name: f"{modality} {name}" for name in measured.columns if name not in FIXED})


def _decided(bundle: Bundle) -> pd.DataFrame:
    """What was decided of the test samples, of targets that the night's table of predictions has."""
    table = pq.read_table(REPORTS / "evaluate" / "predictions.parquet")
    columns = {GROUP: table[GROUP].to_pandas()}
    for target, output in bundle.targets.items():
        if f"{target}__0" in table.column_names:
            columns[target] = pd.Series(said(target, read_answer(table, target, output), output)[target])
    return pd.DataFrame(columns)


class Gathered:
    """Columns of a batch that are to be compared: of at most MOST rows, groups by chance, so that memory stays flat."""

    def __init__(self) -> None:
        """Start with none."""
        self._parts: list[pd.DataFrame] = []
        self._rows = 0

    def add(self, groups: list[str], ids: list[str], columns: Mapping[str, object]) -> None:
        """Take some more rows."""
        part = pd.DataFrame({GROUP: groups, **columns})
        by = pd.Series([group or sample for group, sample in zip(groups, ids, strict=True)], dtype="str")
        self._parts.append(part.assign(key=keys(by).to_numpy(np.float64)))
        self._rows += len(part)
        if self._rows > 2 * MOST:
            self._parts = [self._chosen()]
            self._rows = len(self._parts[0])

    def table(self) -> pd.DataFrame:
        """What is left: `group` and the columns."""
        return self._chosen().drop(columns="key") if self._parts else pd.DataFrame({GROUP: pd.Series(dtype="str")})

    def _chosen(self) -> pd.DataFrame:
        whole = pd.concat(self._parts, ignore_index=True)
        return whole.sort_values("key", kind="stable").head(MOST)
