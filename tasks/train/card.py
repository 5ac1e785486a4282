"""What a candidate says of itself (candidate.json), and the weights beside it: read as data, never executed."""

import dataclasses
import math
from collections.abc import Collection, Mapping
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
from tasks.targets import METRICS, Output, outputs

CARD, WEIGHTS = "candidate.json", "weights.safetensors"
KINDS = ("alone", "late", "logistic", "fusion", "finetune")  # from simple to complex


@dataclass(frozen=True)
class Card:
    """A candidate's facts.

    Attributes:
        name: e.g. `attention` or `alone-image`.
        kind: one of `KINDS`.
        modalities: those it was fitted on, sorted.
        widths: modality -> features per token.
        targets: target -> {"type", "classes": [name, …]}, none of a regression.
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
    def outputs(self) -> dict[str, Output]:
        """Target -> what is answered for it."""
        return outputs(self.targets)

    @property
    def sizes(self) -> dict[str, int]:
        """Target -> numbers that answer a sample."""
        return {target: output.width for target, output in self.outputs.items()}

    @property
    def values(self) -> list[str]:
        """The targets that are answered by a value."""
        return [target for target, output in self.outputs.items() if output.is_number]

    def write(self, folder: Path) -> None:
        """Write candidate.json into a folder."""
        write_json(folder / CARD, dataclasses.asdict(self))


def described(answered: Mapping[str, Output]) -> dict[str, dict[str, Any]]:
    """Targets as a card holds them, sorted by name."""
    return {target: answered[target].as_json() for target in sorted(answered)}


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
    if not isinstance(body, dict) or set(body) != {"type", "classes"} or body["type"] not in METRICS:
        return False
    classes = body["classes"]
    if not isinstance(classes, list) or not all(isinstance(c, str) for c in classes) or len(set(classes)) != len(classes):
        return False
    return bool(classes) != Output(body["type"]).is_number


def are_statistics(found: Any, targets: Collection[str], names: Collection[str]) -> bool:
    """Whether a card's settings hold these finite numbers, none below 0 but a mean, of each of these targets; from a file."""
    if not isinstance(found, dict) or set(found) != set(targets):
        return False
    whole = all(isinstance(body, dict) and set(body) == set(names) for body in found.values())
    return whole and all(
        type(value) is float and math.isfinite(value) and (name == "mean" or value > 0)
        for body in found.values()
        for name, value in body.items()
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
