"""Where a training stands at the end of an epoch, so that one that was cut off goes on and ends in the same bytes.

Checkpoints are kept only where the folder `.memo/checkpoint/` exists: whoever runs a stage makes it, carries it to the next
try and drops it at the end. A file holds all that moves while a network is fitted: weights, the optimiser's and the
schedule's state, the random generators, the best weights so far, and the caller's own numbers. No pickle.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from tasks.errors import ContractBroken
from tasks.files import write_bytes
from tasks.paths import CHECKPOINTS
from tasks.ranks import ALONE, Ranks

KEPT = "kept"  # the best weights so far
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Training:
    """All that moves while a network is fitted.

    Attributes:
        model: on its device.
        optimiser: of its parameters.
        order: draws the order of samples, and what is hidden of them; the global generator draws dropout.
        schedule: of the learning rate; None where it is constant.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    order: torch.Generator
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None


class Checkpoint:
    """The checkpoint of one training."""

    def __init__(self, name: str, training: Training, identity: Callable[[], str], ranks: Ranks = ALONE) -> None:
        """Write nothing yet.

        Args:
            name: of what is fitted, e.g. `image` or `attention`.
            training: what is saved and restored.
            identity: a digest of all that the training depends on (see `digest`); asked only where checkpoints are kept.
            ranks: who train together: the first one's checkpoint is that of all.
        """
        self.path = CHECKPOINTS / f"{name}.safetensors" if ranks.first and CHECKPOINTS.is_dir() else None
        self._name, self._training, self._ranks = name, training, ranks
        self._identity = identity() if self.path else ""

    def save(self, facts: Mapping[str, Any], kept: Tensors | None = None) -> None:
        """Write the state at the end of an epoch, whole.

        Args:
            facts: the caller's own numbers, as JSON; `epoch` among them.
            kept: the best weights so far.
        """
        if not self.path:
            return
        training, tensors = self._training, {}
        for name, tensor in training.model.state_dict().items():
            tensors[f"model.{name}"] = tensor
        optimiser = training.optimiser.state_dict()
        for number, state in optimiser["state"].items():
            tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in state.items()}
        tensors |= {f"{KEPT}.{name}": tensor for name, tensor in (kept or {}).items()} | _generators(training)
        schedule = training.schedule.state_dict() if training.schedule else {}
        state = {"identity": self._identity, "groups": optimiser["param_groups"], "schedule": schedule, "facts": dict(facts)}
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        text = json.dumps(state, sort_keys=True, allow_nan=False)
        write_bytes(self.path, save(tensors, {"state": json.dumps({"state": text, "digest": digest(text, tensors)})}))

    def resume(self, epochs: int) -> tuple[dict[str, Any], Tensors] | None:
        """Restore what `save` wrote, when it is whole and of this training; else say so and leave everything as it is.

        Args:
            epochs: of the whole training, for the line that is printed.

        Returns:
            the caller's facts and the best weights so far; None to start afresh.
        """
        content, found = self._whole()
        if not (content := self._ranks.content(content)):
            return None
        tensors, state = found or _read(content)
        _restore(self._training, tensors, state)
        facts: dict[str, Any] = state["facts"]
        print(f"{self._name}: resumes at epoch {min(facts['epoch'] + 1, epochs)} of {epochs}", flush=True)
        return facts, _part(tensors, KEPT)

    def _whole(self) -> tuple[bytes, tuple[Tensors, dict[str, Any]] | None]:
        """What `save` wrote, and what it holds; nothing where it is of no use."""
        if not self.path or not self.path.is_file():
            return b"", None
        content = self.path.read_bytes()
        try:
            found = _read(content)
            self._check(*found)
        except ContractBroken as problem:
            print(f"{self._name}: the checkpoint {self.path} {problem}; starts afresh", flush=True)
            return b"", None
        return content, found

    def _check(self, tensors: Tensors, state: Mapping[str, Any]) -> None:
        model = {name: tensor.shape for name, tensor in self._training.model.state_dict().items()}
        if state["identity"] != self._identity or {n: t.shape for n, t in _part(tensors, "model").items()} != model:
            raise ContractBroken("is of another training")


def digest(*parts: Any) -> str:
    """Hex sha256 over arrays, tensors, dictionaries of them, and anything that is JSON; without a copy of them."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, (np.ndarray, Tensor)):
            array = np.ascontiguousarray(part.detach().cpu() if isinstance(part, Tensor) else part)
            whole.update(f"{array.dtype} {array.shape}\0".encode())
            whole.update(array.data)
        elif isinstance(part, Mapping):
            for name in sorted(part):
                whole.update(f"{name}\0{digest(part[name])}\0".encode())
        else:
            whole.update(json.dumps(part, sort_keys=True).encode() + b"\0")
    return whole.hexdigest()


def _generators(training: Training) -> Tensors:
    device = next(training.model.parameters()).device
    found = {"random.global": torch.get_rng_state(), "random.order": training.order.get_state()}
    return found | ({"random.cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def _read(content: bytes) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and state of a file's content.

    Raises:
        ContractBroken: it is damaged.
    """
    try:
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"]["state"])
        text = about["state"]
        whole = digest(text, tensors) == about["digest"]
        state: dict[str, Any] = json.loads(text)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ContractBroken(f"is damaged ({error})") from error
    if not whole:
        raise ContractBroken("is damaged")
    return tensors, state


def _part(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(f"{prefix}."): tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def _restore(training: Training, tensors: Tensors, state: Mapping[str, Any]) -> None:
    training.model.load_state_dict(_part(tensors, "model"))
    moments: dict[int, Tensors] = {}
    for name, tensor in _part(tensors, "optimiser").items():
        number, _, key = name.partition(".")
        moments.setdefault(int(number), {})[key] = tensor
    training.optimiser.load_state_dict({"state": moments, "param_groups": state["groups"]})
    if training.schedule:
        training.schedule.load_state_dict(state["schedule"])
    torch.set_rng_state(tensors["random.global"])
    training.order.set_state(tensors["random.order"])
    if "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], next(training.model.parameters()).device)
