"""The probe: the test samples that are damaged, and where they lie (tasks/probe chooses them)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.errors import ContractBroken
from tasks.files import read_json
from tasks.index import Partition
from tasks.paths import PROBE
from tasks.raw import read_partition

Key = tuple[str, str]  # a batch's key, a sample's id


@dataclass(frozen=True)
class Probe:
    """Which samples.

    Attributes:
        samples: their keys.
        partitions: by modality the raw partitions that hold any of them, each with its batch's key.
    """

    samples: frozenset[Key]
    partitions: Mapping[str, list[tuple[str, Partition]]]


def read_probe() -> Probe:
    """Read the probe.

    Raises:
        NoData: it is absent.
        ContractBroken: it is not what `tasks.probe` writes.
    """
    raw = read_json(PROBE)
    try:
        samples = frozenset((one["batch"], one["sample_id"]) for one in raw["samples"])
        partitions = {
            m: [(one["batch"], Partition(one["path"], one["rows"], one["md5"])) for one in found]
            for m, found in raw["partitions"].items()
        }
    except (TypeError, KeyError, AttributeError) as error:
        raise ContractBroken(f"{PROBE} is no list of samples and partitions ({error}): `dvc repro -f probe`") from error
    return Probe(samples, partitions)


def raw_samples(probe: Probe, modality: str) -> Iterator[dict[str, bytes]]:
    """Raw bytes of the probe's samples that have the modality, by id; one raw partition at a time.

    Raises:
        NoData: a partition is absent.
        ContractBroken: it is not the one that was ingested.
    """
    for batch, partition in probe.partitions.get(modality, ()):
        table = read_partition(partition)
        ids = table["sample_id"].to_pylist()
        rows = [row for row, name in enumerate(ids) if (batch, name) in probe.samples]
        yield dict(zip([ids[row] for row in rows], table["data"].take(rows).to_pylist(), strict=True))
