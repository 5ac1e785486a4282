"""What candidates are fitted on and judged with: features joined to the manifest's samples, in the order of their ids."""

import hashlib
import heapq
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import ContractBroken, NoData
from tasks.features import Features, opened_features, read_features, read_sample_ids
from tasks.files import read_json
from tasks.paths import FEATURES, MANIFEST
from tasks.tables import labelled, truth
from tasks.targets import Output, outputs

Rows: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Inputs:
    """Samples with their features, row by row.

    Attributes:
        samples: rows of data/3_manifest/samples.parquet, sorted by sample_id.
        features: modality -> features of those rows; the mask is off where a sample lacks the modality.
        unlabelled: samples without any label that would be in the same split; None where they are not asked for.
    """

    samples: pa.Table
    features: dict[str, Features]
    unlabelled: "Inputs | None" = None

    def __len__(self) -> int:
        return int(self.samples.num_rows)

    def labels(self, target: str) -> npt.NDArray[Any]:
        """Class indices int64 [n] or values float64 [n] of a target; `tables.labelled` tells which are empty."""
        return truth(self.samples[target])

    @property
    def domain(self) -> list[str]:
        """Each row's domain (`validate.domain`), "" where it is not known."""
        return domains_of(self.samples) or [""] * len(self)

    @property
    def there(self) -> Rows:
        """Numbers of the rows that have any of the modalities, int64 [k]."""
        return np.flatnonzero(np.logical_or.reduce([present(body) for body in self.features.values()]))

    def only(self, modality: str) -> "Inputs":
        """The same samples with this modality alone, without a copy."""
        beside = self.unlabelled and self.unlabelled.only(modality)
        return Inputs(self.samples, {modality: self.features[modality]}, beside)

    def by_own_encoders(self, candidate: Path) -> "Inputs":
        """The same samples with the features that a candidate's folder brings, where it has encoders of its own."""
        own = candidate / "features"
        return Inputs(
            self.samples,
            {m: aligned(m, self.samples, own) if (own / m).is_dir() else body for m, body in self.features.items()},
        )


def read_outputs(manifest: Path = MANIFEST) -> dict[str, Output]:
    """What is to be answered for each target, as the manifest fixed it."""
    return outputs(read_json(manifest / "manifest.json")["targets"])


def read_samples_of(splits: Collection[str], manifest: Path = MANIFEST, unlabelled: bool = False) -> pa.Table:
    """Accepted samples of some splits, sorted by sample_id; if asked for, also those that teach without a label.

    Raises:
        NoData: the manifest is absent.
        ContractBroken: none of its samples is in these splits.
    """
    path = manifest / "samples.parquet"
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro validate`")
    table = pq.read_table(path)
    wanted = pc.is_in(table["split"], pa.array(sorted(splits), pa.string()))
    chosen = table.filter(pc.or_(wanted, table["unlabelled"]) if unlabelled else wanted).sort_by("sample_id")
    if not chosen.num_rows:
        raise ContractBroken(
            f"{path} has no sample in split {' or '.join(sorted(splits))}: land labelled samples, or set `split` in params.yaml"
        )
    return chosen


def read_inputs(modalities: Iterable[str], split: str, unlabelled: bool = False) -> Inputs:
    """Samples of one split with the features of these modalities; if asked for, also those that teach without a label."""
    samples = read_samples_of([split], unlabelled=unlabelled)
    return Inputs(samples, {m: aligned(m, samples) for m in sorted(modalities)})


def read_few(modalities: Iterable[str], split: str, target: str, most: int) -> Inputs | None:
    """At most `most` samples of a split that are labelled in a target (see `few`), with their features; None of none.

    Memory is that of `aligned` for so many samples, however many the split has.
    """
    samples = read_samples_of([split])
    samples = samples.filter(pa.array(labelled(truth(samples[target]))))
    samples = samples.take(pa.array(few((name.as_py() for name in samples["sample_id"]), most)))
    return Inputs(samples, {m: aligned(m, samples) for m in sorted(modalities)}) if samples.num_rows else None


def few(names: Iterable[str], most: int) -> Rows:
    """At most `most` of the rows, int64 [k], rising: those whose names have the lowest hashes.

    So the choice is the same in any order of rows, and hardly another one the next night, whoever comes or goes. Memory:
    that of so many hashes, where names come one by one.
    """
    hashed = ((hashlib.sha256(name.encode()).digest(), row) for row, name in enumerate(names))
    return np.array(sorted(row for _, row in heapq.nsmallest(most, hashed)), np.int64)


def read_aside(modalities: Iterable[str], manifest: Path = MANIFEST) -> Inputs | None:
    """The samples that were set aside for calibration, with the features of these modalities; None where none are."""
    splits = pq.read_table(manifest / "samples.parquet", columns=["split"])["split"].unique().to_pylist()
    return read_inputs(modalities, "calibration") if "calibration" in splits else None


def domains_of(samples: pa.Table) -> list[str] | None:
    """The domain of each row of the manifest, "" where it is not known; None where the manifest tells none."""
    return samples["domain"].to_pylist() if "domain" in samples.column_names else None


def read_domain(manifest: Path = MANIFEST) -> str:
    """The column of metadata.csv that the manifest took for the samples' domain; "" for none."""
    return str(read_json(manifest / "manifest.json").get("domain", ""))


def read_unlabelled(modalities: Iterable[str], manifest: Path = MANIFEST) -> Inputs | None:
    """The unlabelled samples that would be train if a label came, with the features of these modalities; None where none is.

    Raises:
        ContractBroken: the manifest tells no domains, for which they are asked.
    """
    table = pq.read_table(manifest / "samples.parquet")
    if "domain" not in table.column_names:
        raise ContractBroken(f"{manifest} tells no domains: set validate.domain in params.yaml, `dvc repro validate`")
    samples = table.filter(table["unlabelled"]).sort_by("sample_id")
    return Inputs(samples, {m: aligned(m, samples) for m in sorted(modalities)}) if samples.num_rows else None


def aligned(modality: str, samples: pa.Table, features: Path = FEATURES) -> Features:
    """Features of one modality for these samples, row by row; the mask is off where `has_<modality>` is false.

    A partition may hold fewer tokens per sample than another: shorter ones are padded, mask off.

    Memory: the answer (4 bytes per number, 5 per token), and one partition at a time.

    Raises:
        NoData: the features are absent.
        ContractBroken: a sample that has the modality has no features, or two; or partitions differ in width.
    """
    folder = features / modality
    if not folder.is_dir():
        raise NoData(f"{folder} is not here: `dvc pull`, or `dvc repro extract@{modality}`")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ContractBroken(f"{folder} holds no features at all: no sample ever had this modality; remove it from params.yaml")
    places = list(_places(modality, samples, files))
    shapes = [_shape(path) for path, _, _ in places] or [_shape(files[0])]  # one, for its width, when no sample has any
    widths = {width for _, width in shapes}
    if len(widths) != 1:
        raise ContractBroken(f"{folder}: partitions hold features of widths {sorted(widths)}: `dvc repro extract@{modality}`")
    parts = ((to, chosen(read_features(path), rows)) for path, to, rows in places)
    return assembled(samples.num_rows, max(steps for steps, _ in shapes), widths.pop(), parts)


def present(features: Features) -> npt.NDArray[np.bool_]:
    """Which rows have any token: bool [n]."""
    return np.asarray(features.mask.any(axis=1))


def chosen(features: Features, rows: npt.NDArray[np.int64]) -> Features:
    """Some rows of features, in this order."""
    return Features(features.tokens[rows], features.mask[rows], features.time[rows])


def assembled(rows: int, steps: int, width: int, parts: Iterable[tuple[npt.NDArray[np.int64], Features]]) -> Features:
    """Features of `rows` samples, `steps` tokens of `width` numbers each, from parts that say which rows they are.

    Other rows are missing, shorter parts padded. Parts may come from a generator: one at a time is in memory.
    """
    tokens = np.zeros((rows, steps, width), np.float32)
    mask, time = np.zeros((rows, steps), np.bool_), np.zeros((rows, steps), np.float32)
    for to, part in parts:
        t = part.tokens.shape[1]
        tokens[to, :t], mask[to, :t], time[to, :t] = part.tokens, part.mask, part.time
    return Features(tokens, mask, time)


def _shape(path: Path) -> tuple[int, int]:
    """Tokens per sample and features per token."""
    with opened_features(path) as file:
        _, steps, width = file.get_slice("tokens").get_shape()
    return steps, width


def _places(modality: str, samples: pa.Table, files: Iterable[Path]) -> Iterator[tuple[Path, Rows, Rows]]:
    """Yield each file that holds features of these samples, the samples' rows here, and theirs in the file.

    An id may have landed in several batches; the sample's own batch tells which row is meant.
    """
    batches, ids = samples["batch"].combine_chunks(), samples["sample_id"].combine_chunks()
    missing = samples[f"has_{modality}"].to_numpy().astype(np.bool_)  # those that no file had yet
    has = missing.copy()
    for path in files:
        batch = path.stem.rpartition("-")[0]  # a partition's stem is its batch's key and a number
        ours = np.flatnonzero(has & pc.equal(batches, batch).to_numpy(zero_copy_only=False))
        if not len(ours):
            continue
        found = pc.index_in(pa.array(read_sample_ids(path), pa.string()), value_set=ids.take(pa.array(ours)))
        rows = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
        to = ours[found.drop_null().to_numpy()]
        if not missing[to].all() or len(np.unique(to)) != len(to):
            raise ContractBroken(f"{path} holds a sample of its batch twice: `dvc repro -f extract@{modality}`")
        missing[to] = False
        if len(rows):
            yield path, to, rows
    if missing.any():
        lost = ids[int(np.flatnonzero(missing)[0])].as_py()
        raise ContractBroken(
            f"{FEATURES / modality} has no features of {missing.sum()} samples that have {modality}, e.g. {lost!r}:"
            f" `dvc repro extract@{modality}`"
        )
