"""What candidates are fitted on and judged with: features joined to the manifest's samples, in the order of their ids."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.contracts import FEATURES, MANIFEST, Features, read_features, read_json
from tasks.errors import ContractBroken, NoData

UNLABELLED = -100  # torch's cross-entropy leaves these out


@dataclass(frozen=True)
class Inputs:
    """Samples with their features, row by row.

    Attributes:
        samples: rows of data/3_manifest/samples.parquet, sorted by sample_id.
        features: modality -> features of those rows; the mask is off where a sample lacks the modality.
    """

    samples: pa.Table
    features: dict[str, Features]

    def __len__(self) -> int:
        return int(self.samples.num_rows)

    def labels(self, target: str) -> npt.NDArray[np.int64]:
        """Class indices int64 [n], `UNLABELLED` where the target is empty."""
        return np.array(self.samples[target].fill_null(UNLABELLED).to_numpy(), dtype=np.int64)

    def having(self, modality: str) -> "Inputs":
        """Only this modality, and only the samples that have it."""
        features = self.features[modality]
        rows = np.flatnonzero(present(features))
        return Inputs(self.samples.take(pa.array(rows)), {modality: chosen(features, rows)})


def read_classes(manifest: Path = MANIFEST) -> dict[str, tuple[str, ...]]:
    """Target -> names of its classes, as the manifest fixed them."""
    return {target: tuple(names) for target, names in read_json(manifest / "manifest.json")["classes"].items()}


def read_samples_of(splits: Collection[str], manifest: Path = MANIFEST) -> pa.Table:
    """Accepted samples of some splits, sorted by sample_id.

    Raises:
        NoData: the manifest is absent.
        ContractBroken: none of its samples is in these splits.
    """
    path = manifest / "samples.parquet"
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro validate`")
    table = pq.read_table(path)
    chosen = table.filter(pc.is_in(table["split"], pa.array(sorted(splits), pa.string()))).sort_by("sample_id")
    if not chosen.num_rows:
        raise ContractBroken(
            f"{path} has no sample in split {' or '.join(sorted(splits))}: land labelled samples, or set `split` in params.yaml"
        )
    return chosen


def read_inputs(modalities: Iterable[str], split: str) -> Inputs:
    """Samples of one split with the features of these modalities."""
    samples = read_samples_of([split])
    return Inputs(samples, {m: aligned(m, samples) for m in sorted(modalities)})


def aligned(modality: str, samples: pa.Table, features: Path = FEATURES) -> Features:
    """Features of one modality for these samples, row by row; the mask is off where `has_<modality>` is false.

    A partition may hold fewer tokens per sample than another: shorter ones are padded, mask off.

    Raises:
        NoData: the features are absent.
        ContractBroken: a sample that has the modality has no features, or two; or partitions differ in width.
    """
    folder = features / modality
    places = _places(modality, samples, folder)
    stems = [str(stem) for stem in places["stem"].dropna().unique()]
    pieces = {stem: read_features(folder / f"{stem}.safetensors") for stem in sorted(stems) or _any_stem(folder)}
    widths = {piece.tokens.shape[2] for piece in pieces.values()}
    if len(widths) != 1:
        raise ContractBroken(f"{folder}: partitions hold features of widths {sorted(widths)}: `dvc repro extract@{modality}`")
    parts = []
    for stem, piece in pieces.items():
        there = places[places["stem"] == stem]
        parts.append((there.index.to_numpy(), chosen(piece, there["row"].to_numpy(dtype=np.int64))))
    return assembled(len(places), widths.pop(), parts)


def present(features: Features) -> npt.NDArray[np.bool_]:
    """Which rows have any token: bool [n]."""
    return np.asarray(features.mask.any(axis=1))


def chosen(features: Features, rows: npt.NDArray[np.int64]) -> Features:
    """Some rows of features, in this order."""
    return Features(features.tokens[rows], features.mask[rows], features.time[rows])


def assembled(rows: int, width: int, parts: Iterable[tuple[npt.NDArray[np.int64], Features]]) -> Features:
    """Features of `rows` samples from parts that say which rows they are; other rows are missing, shorter ones padded."""
    parts = list(parts)
    steps = max((part.tokens.shape[1] for _, part in parts), default=1)
    tokens = np.zeros((rows, steps, width), np.float32)
    mask, time = np.zeros((rows, steps), np.bool_), np.zeros((rows, steps), np.float32)
    for to, part in parts:
        t = part.tokens.shape[1]
        tokens[to, :t], mask[to, :t], time[to, :t] = part.tokens, part.mask, part.time
    return Features(tokens, mask, time)


def _places(modality: str, samples: pa.Table, folder: Path) -> pd.DataFrame:
    """Where each sample's features lie: columns `stem` and `row`, missing where the sample lacks the modality.

    An id may have landed in several batches; the sample's own batch tells which row is meant.
    """
    path = folder / "ids.parquet"
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro extract@{modality}`")
    ids = pq.read_table(path).to_pandas()
    ids["batch"] = ids["stem"].str.rsplit("-", n=1).str[0]  # a partition's stem is its batch's key and a number
    keys: Any = samples.select(["sample_id", "batch", f"has_{modality}"]).to_pandas()
    try:
        found = keys.merge(ids, on=["sample_id", "batch"], how="left", validate="one_to_one")
    except pd.errors.MergeError as error:
        raise ContractBroken(f"{path} or the manifest names a sample of one batch twice: {error}") from error
    has = found[f"has_{modality}"].to_numpy(dtype=np.bool_)
    lost = found["sample_id"][has & found["stem"].isna()]
    if len(lost):
        raise ContractBroken(
            f"{path} has no features of {len(lost)} samples that have {modality}, e.g. {lost.iloc[0]!r}:"
            f" `dvc repro extract@{modality}`"
        )
    found.loc[~has, "stem"] = None
    return found  # type: ignore[no-any-return]


def _any_stem(folder: Path) -> list[str]:
    """One partition, for its width, when none of the samples has the modality."""
    stems = sorted(path.stem for path in folder.glob("*.safetensors"))
    if not stems:
        raise ContractBroken(f"{folder} holds no features at all: no sample ever had this modality; remove it from params.yaml")
    return stems[:1]
