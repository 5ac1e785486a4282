"""The index of what has landed, data/1_raw.json: batches, and the partitions that their content is cut into."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import ContractBroken, NoData
from tasks.files import write_json
from tasks.paths import INDEX

NO_DATA = (
    "no data here: `make run` lands a batch and runs the night; to reproduce a version,"
    " `git fetch --tags .nightloom/central.git`, `git checkout fused-model@v1.0.0` and `dvc pull` first"
)


@dataclass(frozen=True)
class Partition:
    """One immutable Parquet file under data/1_raw/, known by its content."""

    path: str  # below data/1_raw/, e.g. image/2026-11-01-3fa9c1d2-000.parquet
    rows: int
    md5: str

    @property
    def stem(self) -> str:
        """The file's name without folder and suffix: what derived files are called."""
        return Path(self.path).stem


@dataclass(frozen=True)
class Batch:
    """One landed batch: its name, the digest that is its identity, and partitions by modality (and `samples`), or `events`."""

    name: str
    digest: str  # sha256 over metadata.csv and its files' sha256
    partitions: Mapping[str, tuple[Partition, ...]]

    @property
    def key(self) -> str:
        """Name and digest in one word; what partitions are named after."""
        return f"{self.name}-{self.digest[:8]}"

    @property
    def of_samples(self) -> bool:
        """Whether samples landed in it, else events."""
        return "samples" in self.partitions


def read_index(path: Path = INDEX) -> list[Batch]:
    """Read the batches of an index (`data/1_raw.json` or `data/reference.json`), in the order in which they were accepted.

    Raises:
        NoData: the index is empty or absent.
        ContractBroken: it is not what `write_index` writes.
    """
    try:
        raw = json.loads(path.read_text()) if path.is_file() else {"batches": []}
        batches = [
            Batch(b["name"], b["digest"], {m: tuple(Partition(**p) for p in ps) for m, ps in b["partitions"].items()})
            for b in raw["batches"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ContractBroken(
            f"{path} is not an index of batches ({error}); restore it with `git checkout -- {path}`"
        ) from error
    if not batches:
        raise NoData(NO_DATA)
    return batches


def write_index(batches: list[Batch], path: Path = INDEX) -> None:
    """Write an index as canonical JSON."""
    rows = [
        {
            "name": b.name,
            "digest": b.digest,
            "partitions": {m: [{"path": p.path, "rows": p.rows, "md5": p.md5} for p in ps] for m, ps in b.partitions.items()},
        }
        for b in batches
    ]
    write_json(path, {"batches": rows})


def partitions(batches: list[Batch], name: str) -> list[tuple[Batch, Partition]]:
    """All partitions of a modality (or of `samples`) with their batches, in order."""
    return [(batch, partition) for batch in batches for partition in batch.partitions.get(name, ())]


def first_holding(
    batches: list[Batch], modalities: Iterable[str], ids: Callable[[str, Partition], list[str]]
) -> dict[tuple[str, str], str]:
    """The name of the partition that holds each sample as the first of some modalities that it has, by batch's key and id.

    Args:
        batches: whose samples are asked for.
        modalities: in the order that counts.
        ids: reads the samples' ids of a modality's partition.
    """
    found: dict[tuple[str, str], str] = {}
    for modality in modalities:
        for batch, partition in partitions(batches, modality):
            for sample in ids(modality, partition):
                found.setdefault((batch.key, sample), partition.stem)
    return found
