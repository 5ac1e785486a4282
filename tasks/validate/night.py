"""What validate looks at: every landed row, its split, and the profile of each of its modalities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks import splits
from tasks.errors import ContractBroken, NoData
from tasks.events import fold
from tasks.index import Batch, partitions, read_index
from tasks.params import Params
from tasks.paths import INDEX, PROFILES, REFERENCE
from tasks.profile import kind_module, schema
from tasks.targets import Output
from tasks.validate.window import windowed

PROFILED = ("sample_id", "batch", "ok", "reason", "sha256", "near", "duration_s")


@dataclass(frozen=True)
class Night:
    """The data that is judged.

    Attributes:
        landed: all landed rows in the order in which they landed, but for withdrawn ones, columns as in `read_samples`, labels
            as events left them, and `part`: the split ("" for a row that is refused, unlabelled, in the embargo or outside
            the training window), as if all of train were used, so that who is quarantined does not depend on the share.
        profiles: per modality, one row per landed row that has it, columns as in data/2_profiles and `batch`, index = that of
            `landed`.
        outputs: per target what is answered: its classes, or that it is a number.
        encoder_rows: index of the landed rows that encoders are fitted on.
        events: all events, see `tasks.events.Folded`; those about withdrawn samples name no sample ("").
        withdrawn: how many landed rows of each batch were withdrawn, by the batch's key.
        batches: all batches in the order in which they were accepted.
        reference: keys of the batches that encoders are fitted on.
        params: what params.yaml says.
    """

    landed: pd.DataFrame
    profiles: Mapping[str, pd.DataFrame]
    outputs: Mapping[str, Output]
    encoder_rows: pd.Index
    events: pd.DataFrame
    withdrawn: Mapping[str, int]
    batches: list[Batch]
    reference: frozenset[str]
    params: Params

    @property
    def taken(self) -> pd.DataFrame:
        """Rows that ingest did not refuse."""
        return self.landed[self.landed["refused"] == ""]

    @property
    def seniority(self) -> pd.Series:
        """Per landed row 0 when encoders are fitted on its batch, else its batch's place among all, from 1."""
        places = {batch.key: 0 if batch.key in self.reference else place for place, batch in enumerate(self.batches, 1)}
        return self.landed["batch"].map(places)

    @property
    def new(self) -> list[str]:
        """Keys of the batches that are not part of the reference."""
        return [batch.key for batch in self.batches if batch.key not in self.reference]


def read_night(params: Params) -> Night:
    """Read the index, the reference, the sample tables and the profiles.

    Raises:
        NoData: nothing has landed, or a file is absent.
        ContractBroken: a profile does not cover the rows of its modality, or the reference holds what the index does not.
    """
    batches, reference = read_index(), read_index(REFERENCE)
    strange = [batch.key for batch in reference if batch.digest not in {b.digest for b in batches}]
    if strange:
        raise ContractBroken(f"{REFERENCE} holds {', '.join(strange)}, which {INDEX} does not; restore both from git")
    every = splits.landed_rows(batches, params)
    profiles = {name: _profile(name, params, batches, every) for name in params.modalities}
    keys = frozenset(batch.key for batch in reference)
    # The classes and the rows that encoders know: as `pretrain` sees them, from the reference's own batches.
    seen = fold(every[every["batch"].isin(keys)], [batch for batch in batches if batch.key in keys], params)
    training = splits.training_part(seen.samples, splits.unthinned(params))
    outputs = splits.outputs(training, params)
    folded = fold(every, batches, params, outputs)
    landed = folded.samples
    landed["part"] = _parts(landed, batches, params)
    profiles = {name: profile[profile.index.isin(landed.index)] for name, profile in profiles.items()}
    gone = every.loc[every.index.difference(landed.index), "batch"].value_counts()
    events = folded.events.assign(
        sample_id=folded.events["sample_id"].where(~folded.events["sample_id"].isin(folded.withdrawn), "")
    )
    encoder_rows = splits.encoder_part(seen.samples, params).index.intersection(landed.index)
    _check_columns(landed, {"domain": [params.validate.domain], "slices": params.validate.slices})
    return Night(landed, profiles, outputs, encoder_rows, events, gone.to_dict(), batches, keys, params)


def _parts(landed: pd.DataFrame, batches: list[Batch], params: Params) -> pd.Series:
    labelled = splits.labelled(landed, params)
    parts = splits.assign(labelled, params.split, params.seed).reindex(landed.index, fill_value=splits.NONE)
    return windowed(landed, parts, [batch.key for batch in batches if batch.of_samples], params.split)


def _check_columns(landed: pd.DataFrame, named: Mapping[str, Sequence[str]]) -> None:
    """Refuse a column of domains or slices that no batch has.

    Raises:
        ContractBroken: so it is.
    """
    for knob, columns in named.items():
        for column in columns:
            if column and column not in landed:
                raise ContractBroken(
                    f"no batch has the column {column!r}: land it in metadata.csv, or change validate.{knob}. Names of columns"
                    " that are kept are letters, digits, blanks, _, . and -, a letter first, at most 64"
                )


def _profile(name: str, params: Params, batches: list[Batch], landed: pd.DataFrame) -> pd.DataFrame:
    profile = _read_profile(name, params, batches)
    has = landed[(landed["refused"] == "") & landed[f"has_{name}"]]
    rows = pd.Series(has.index, index=pd.MultiIndex.from_frame(has[["batch", "sample_id"]]))
    profiled = pd.MultiIndex.from_frame(profile[["batch", "sample_id"]])
    if len(profiled) != len(rows) or not profiled.isin(rows.index).all() or not profiled.is_unique:
        raise ContractBroken(
            f"{PROFILES / name} does not hold one row per row of data/1_raw/{name}: `dvc repro -f profile@{name}`"
        )
    return profile.set_index(pd.Index(rows.loc[profiled].to_numpy()))


def _read_profile(name: str, params: Params, batches: list[Batch]) -> pd.DataFrame:
    """The profiles of all partitions of a modality, with the key of their batch in `batch`."""
    tables = []
    for batch, partition in partitions(batches, name):
        path = PROFILES / name / f"{partition.stem}.parquet"
        if not path.is_file():
            raise NoData(f"{path} is not here: `dvc pull {PROFILES / name}`, or `dvc repro profile@{name}`")
        tables.append(_of_batch(batch, pq.read_table(path)))
    if not tables:
        tables.append(_of_batch(None, schema(kind_module(params.modalities[name].kind)).empty_table()))
    whole = pa.concat_tables(tables, promote_options="default")
    profile: pd.DataFrame = whole.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)  # a float holds 53 bits of `near`
    lacking = sorted(set(PROFILED) - set(profile.columns))
    if lacking:
        raise ContractBroken(f"{PROFILES / name} lacks the column {', '.join(lacking)}: `dvc repro -f profile@{name}`")
    return profile


def _of_batch(batch: Batch | None, table: pa.Table) -> pa.Table:
    return table.add_column(1, "batch", pa.array([batch.key if batch else ""] * table.num_rows, pa.string()))
