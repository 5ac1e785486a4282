"""dvc.lock cut into fragments, one per stage, and put together again with stable bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Fragments = Mapping[str, Mapping[str, Any]]  # stage name -> its entry in dvc.lock

LOCK = "dvc.lock"


def read(folder: Path) -> dict[str, Any]:
    """The stages' entries of a checkout's dvc.lock; empty when there is none."""
    from dvc.utils.serialize import load_yaml

    path = folder / LOCK
    return dict(load_yaml(str(path)).get("stages") or {}) if path.is_file() else {}


def write(folder: Path, fragments: Fragments, order: list[str]) -> None:
    """Write dvc.lock from its entries, in the order of dvc.yaml, without stages that dvc.yaml no longer has."""
    from dvc.utils.serialize import dump_yaml

    entries = {name: fragments[name] for name in order if name in fragments}
    if entries:
        dump_yaml(str(folder / LOCK), {"schema": "2.0", "stages": entries})


def merge(folder: Path, fragments: Fragments, order: list[str]) -> None:
    """Put the fragments of a run over the dvc.lock of its commit."""
    write(folder, {**read(folder), **fragments}, order)
