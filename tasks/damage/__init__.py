"""Raw inputs of a fixed part of the test set, damaged by degrees: `python -m tasks.damage image` writes data/4_damaged/image/.

A safetensors file of features (tasks/features.py) for every way to damage, as `path_of` names it. Which samples tasks/probe
tells; these and the encoders hardly ever change, and then neither does anything here.

A file per kind, found by its name. Each has

    read(data, options, facts)      raw bytes -> what is damaged; `facts` are those of the modality's encoder; raises
                                    ContractBroken on what is not whole
    write(thing)                    bytes of the same kind, without loss, so that all of the way from bytes on is walked
    CORRUPTIONS                     name -> function of (thing, level, rng): another thing, the given one is left as it is

A level lies between 0, nothing, and 1, when little is left. Whatever is drawn does not depend on the level, so that what is
damaged at one is damaged at all higher ones, and a curve does not move by luck: only by how much there is of the damage.
Names and strengths are after Hendrycks, Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, and Liang et al., "MultiBench", NeurIPS datasets and benchmarks 2021.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from tasks.errors import ContractBroken
from tasks.params import keyed_seed
from tasks.paths import DAMAGED

Shown: TypeAlias = tuple[str, float]  # a corruption, and its level
CLEAN: Shown = ("clean", 0.0)


def kind_module(kind: str) -> ModuleType:
    """The module of a kind's corruptions. The kind's name has been checked by `tasks.params`."""
    return import_module(f"tasks.damage.{kind}")


def path_of(modality: str, shown: Shown) -> Path:
    """The file that holds a modality's features under a corruption."""
    name, level = shown
    return DAMAGED / modality / f"{name}-{level}.safetensors"


def damaged(
    kind: ModuleType,
    items: Mapping[str, bytes],
    levels: Sequence[float],
    options: Any,
    facts: Mapping[str, Any],
    seed: int,
    modality: str = "",
) -> Iterator[tuple[Shown, list[bytes]]]:
    """Raw samples as they are, then under every corruption at every level.

    Args:
        kind: of the corruptions.
        items: sample id -> raw bytes; what cannot be read stays as it is.
        levels: 0 … 1; at 0 the bytes are those that came in.
        options: of the modality.
        facts: of its encoder.
        seed: of the run; what is drawn is keyed by it, modality, sample and corruption.
        modality: its name.
    """
    yield CLEAN, list(items.values())
    things = {sample: _read(kind, data, options, facts) for sample, data in items.items()}
    for name in kind.CORRUPTIONS:
        seeds = {sample: keyed_seed(seed, "damage", modality, sample, name) for sample in items}
        for level in levels:
            yield (
                (name, level),
                [
                    data if (thing := things[sample]) is None else corrupted(kind, data, thing, name, level, seeds[sample])
                    for sample, data in items.items()
                ],
            )


def corrupted(kind: ModuleType, data: bytes, thing: Any, name: str, level: float, seed: int) -> bytes:
    """One sample under a corruption; at level 0 its own bytes."""
    if level == 0:
        return data
    with np.errstate(all="ignore"):  # what grows beyond a float is refused when it is read, and counts as missing
        found: bytes = kind.write(kind.CORRUPTIONS[name](thing, level, np.random.default_rng(seed)))
    return found


def _read(kind: ModuleType, data: bytes, options: Any, facts: Mapping[str, Any]) -> Any:
    try:
        return kind.read(data, options, facts)
    except ContractBroken:
        return None
