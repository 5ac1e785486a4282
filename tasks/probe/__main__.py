"""Choose the test samples whose raw inputs are damaged: `python -m tasks.probe` (see tasks/probe/__init__.py)."""

import argparse

import pyarrow.parquet as pq

from tasks.errors import NoData
from tasks.files import write_json
from tasks.index import read_index
from tasks.params import load
from tasks.paths import MANIFEST, PROBE
from tasks.probe import probe as choose
from tasks.stage import count, enter


def probe() -> None:
    """Write data/3_probe.json.

    Raises:
        NoData: nothing has landed, or the manifest is absent.
    """
    params, path = load(), MANIFEST / "samples.parquet"
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro validate`")
    found = choose(pq.read_table(path), read_index(), list(params.modalities), params.gate.target, params.robustness.samples)
    write_json(PROBE, found)
    count(chosen=len(found["samples"]))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(probe)
