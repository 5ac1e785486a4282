"""Say which raw partitions `tasks.damage` will read, as a JSON list: `python -m tasks.damage.reads image`."""

import argparse
import json
from collections.abc import Iterable

from tasks.damage.probe import read_probe
from tasks.paths import RAW
from tasks.stage import enter


def reads(modality: str) -> None:
    """Print the paths of those that hold a sample of the probe.

    Raises:
        NoData: the probe is absent.
    """
    print(json.dumps(read_by([modality])))


def read_by(modalities: Iterable[str]) -> list[str]:
    """The raw partitions in which the probe's samples have these modalities."""
    probe = read_probe()
    return [str(RAW / partition.path) for m in modalities for _, partition in probe.partitions.get(m, ())]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality")
    enter(reads, parser.parse_args().modality)
