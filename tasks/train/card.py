"""What a candidate says of itself (candidate.json), and the weights beside it: read as data, never executed."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tasks.errors import ContractBroken
from tasks.files import read_json, write_bytes, write_json
from tasks.params import NAME

CARD, WEIGHTS = "candidate.json", "weights.safetensors"
KINDS = ("alone", "late", "logistic", "fusion")  # from simple to complex


@dataclass(frozen=True)
class Card:
    """A candidate's facts.

    Attributes:
        name: e.g. `attention` or `alone-image`.
        kind: one of `KINDS`.
        modalities: those it was fitted on, sorted.
        widths: modality -> features per token.
        targets: target -> {"type": "classification", "classes": [name, …]}.
        parameters: number of fitted numbers.
        steps: optimiser steps.
        curve: per epoch or trial, what was seen, e.g. {"epoch", "train_loss", "val_loss"}.
        settings: what the kind needs to be built again.
    """

    name: str
    kind: str
    modalities: list[str]
    widths: dict[str, int]
    targets: dict[str, dict[str, Any]]
    parameters: int
    steps: int
    curve: list[dict[str, float]]
    settings: dict[str, Any]

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Target -> names of its classes, in the order of the probabilities."""
        return {target: tuple(body["classes"]) for target, body in self.targets.items()}

    @property
    def sizes(self) -> dict[str, int]:
        """Target -> number of classes."""
        return {target: len(names) for target, names in self.classes.items()}

    def write(self, folder: Path) -> None:
        """Write candidate.json into a folder."""
        write_json(folder / CARD, dataclasses.asdict(self))


def described(classes: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, Any]]:
    """Targets as a card holds them, sorted by name."""
    return {target: {"type": "classification", "classes": list(classes[target])} for target in sorted(classes)}


def read_card(folder: Path) -> Card:
    """Read candidate.json.

    Raises:
        NoData: it is absent.
        ContractBroken: a key is missing, unknown or holds something else.
    """
    path = folder / CARD
    raw = read_json(path)
    keys = {field.name for field in dataclasses.fields(Card)}
    if not isinstance(raw, dict) or set(raw) != keys:
        raise ContractBroken(f"{path} must hold exactly the keys {', '.join(sorted(keys))}")
    if raw["kind"] not in KINDS:
        raise ContractBroken(f"{path}: kind must be one of {', '.join(KINDS)}, got {raw['kind']!r}")
    if not _are_modalities(raw["modalities"], raw["widths"]):
        raise ContractBroken(f"{path}: modalities must be sorted names with their widths, got {raw['widths']!r}")
    if not isinstance(raw["settings"], dict) or not _are_targets(raw["targets"]):
        raise ContractBroken(f"{path}: targets must be names with a type and distinct class names, settings a mapping")
    return Card(**raw)


def _are_modalities(names: Any, widths: Any) -> bool:
    if not isinstance(widths, dict) or not widths or sorted(widths) != names:
        return False
    return all(NAME.fullmatch(name) and type(width) is int and width > 0 for name, width in widths.items())


def _are_targets(targets: Any) -> bool:
    return isinstance(targets, dict) and bool(targets) and all(NAME.fullmatch(t) and _is_target(b) for t, b in targets.items())


def _is_target(body: Any) -> bool:
    if not isinstance(body, dict) or set(body) != {"type", "classes"} or body["type"] != "classification":
        return False
    classes = body["classes"]
    return (
        isinstance(classes, list)
        and bool(classes)
        and all(isinstance(c, str) for c in classes)
        and len(set(classes)) == len(classes)
    )


def write_weights(folder: Path, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays, sorted by name, as weights.safetensors."""
    write_bytes(folder / WEIGHTS, save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}))


def read_weights(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[np.float32]]:
    """Read weights.safetensors.

    Args:
        folder: where it lies.
        shapes: the float32 arrays that it must hold, and no others.

    Raises:
        NoData: it is absent.
        ContractBroken: it is damaged, or holds other names, shapes or types, or numbers that are not finite.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise ContractBroken(f"{path} is not here: the candidate is incomplete, `dvc pull` or `dvc repro` its stage")
    try:
        tensors: dict[str, npt.NDArray[np.float32]] = load(path.read_bytes())
    except SafetensorError as error:
        raise ContractBroken(f"{path} is not safetensors, or damaged: {error}") from error
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != dict(shapes):
        other = sorted(name for name in {*found, *shapes} if found.get(name) != shapes.get(name))
        name = other[0]
        raise ContractBroken(
            f"{path} does not fit its {CARD}: {name} has shape {found.get(name)}, expected {shapes.get(name)}"
            f" ({len(other)} arrays differ)"
        )
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            raise ContractBroken(f"{path}: {name} must be finite float32, got {tensor.dtype}")
    return tensors
