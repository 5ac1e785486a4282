"""Token features of one modality: `python -m tasks.extract image` writes data/4_features/image/.

A file per kind, found by its name. Each has

    token_count(options)              tokens of a sample, the same for all of a modality
    fit_facts(arrays, options)        what preparation needs to know of the training samples, as JSON: means, a vocabulary …
    prepare(array, options, facts)    a decoded sample -> arrays of fixed shape; two are `mask` bool [t], `time` float32 [t] (s)
    augment(inputs, generator)        a batch of them, varied for training
    NOTHING                           where `prepare` gives whole numbers: the lowest, for what is not there
    Encoder(options, facts, width, dropout)    the network: inputs -> tokens float32 [b, t, width]; `dropout` is the share of
                                      features that is hidden in training

A kind whose samples are so small that a call for each costs more than the work may also have

    BATCH                             of its own
    prepare_many(arrays, options, facts)    what `prepare` gives for each, stacked
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_weights
from safetensors.torch import save as dump_weights
from torch import nn

from tasks.errors import ContractBroken, NoData
from tasks.features import Features
from tasks.files import read_json, write_bytes, write_json
from tasks.params import KINDS, Source
from tasks.profile import decoded, kind_module

BATCH = 16  # samples that go through the network together; always filled up, so that neighbours do not change a sample's bytes

Batch = dict[str, npt.NDArray[Any]]  # what `prepare` gives, stacked


def network_module(kind: str) -> ModuleType:
    """The module of a kind's network. The kind's name has been checked by `tasks.params`."""
    return import_module(f"tasks.extract.{kind}")


@dataclass(frozen=True)
class Card:
    """What encoder.json says of an encoder.

    Attributes:
        kind: of the modality.
        options: as in params.yaml, with every default.
        facts: what `fit_facts` found in the training samples.
        width: of a token.
        classes: per target, in the order of the pretraining head.
        steps: optimiser steps.
        curve: mean training loss per epoch.
        source: where it is from and how it is used (`tasks.params.Source`); None: of our own.
        start: digest of the encoder whose weights it began with; None: random ones, and then encoder.json does not name it.
    """

    kind: str
    options: Mapping[str, Any]
    facts: Mapping[str, Any]
    width: int
    classes: Mapping[str, Sequence[str]]
    steps: int
    curve: Sequence[float]
    source: Mapping[str, Any] | None = None
    start: str | None = None


@dataclass(frozen=True)
class Loaded:
    """A fitted encoder, ready to use.

    Attributes:
        card: what it says of itself.
        network: in evaluation mode.
        how: the kind's module, or what stands for it: `token_count` and `prepare`.
    """

    card: Card
    network: nn.Module
    how: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Tokens per sample, features per token."""
        return self.how.token_count(options_of(self.card)), self.card.width

    def encode(self, items: Sequence[bytes | None], device: str = "cpu") -> Features:
        """Features of raw samples.

        Args:
            items: n raw samples as in data/1_raw; None where there is none.
            device: where the network runs.

        Returns:
            tokens float32 [n, t, width], mask bool [n, t], time float32 [n, t]; the mask is off for None and for what
            cannot be decoded.
        """
        options, size = options_of(self.card), self.batch
        whole = _nothing(len(items), *self.shape)
        network = self.network.to(device).eval()
        there = [row for row, data in enumerate(items) if data is not None]
        with torch.inference_mode():
            for at in range(0, len(there), size):
                rows, inputs = self._prepared(items, there[at : at + size], options)
                if rows:
                    _place(whole, rows, inputs, _tokens(network, inputs, size, device))
        return Features(*whole)

    @property
    def batch(self) -> int:
        """Samples that go through the network together."""
        size: int = getattr(self.how, "BATCH", BATCH)
        return size

    def _prepared(self, items: Sequence[bytes | None], chosen: list[int], options: Any) -> tuple[list[int], Batch]:
        """Those of the chosen rows that can be decoded, and what the network takes of them."""
        refused: dict[int, str] = {}  # `profile` says why, and `validate` quarantines the sample
        arrays = decoded(kind_module(self.card.kind), [items[row] or b"" for row in chosen], options, refused)
        inputs = prepared(self.how, arrays, options, self.card.facts)
        return [row for place, row in enumerate(chosen) if place not in refused], inputs


def prepared(how: Any, arrays: Iterable[npt.NDArray[Any]], options: Any, facts: Mapping[str, Any]) -> Batch:
    """What a kind's network takes of several decoded samples, stacked.

    Args:
        how: the kind's module, or what stands for it.
        arrays: decoded samples, all of them held: decoding and preparing by turns would empty the processor's caches.
        options: of the modality.
        facts: from `fit_facts`.
    """
    if not isinstance(arrays, Sequence | np.ndarray):
        arrays = list(arrays)
    if hasattr(how, "prepare_many") and len(arrays):
        batch: Batch = how.prepare_many(arrays, options, facts)
        return batch
    rows = [how.prepare(array, options, facts) for array in arrays]
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]} if rows else {}


def _tokens(network: nn.Module, inputs: Batch, size: int, device: str) -> npt.NDArray[np.float32]:
    """Tokens of at most `size` samples; the batch is filled up with its first one."""
    count = len(inputs["mask"])
    filled = np.append(np.arange(count), np.zeros(size - count, int))
    given = inputs if count == size else {key: values[filled] for key, values in inputs.items()}
    tokens = network({key: torch.from_numpy(values).to(device) for key, values in given.items()})
    found: npt.NDArray[np.float32] = tokens[:count].cpu().numpy()
    return found


def _place(whole: tuple[npt.NDArray[Any], ...], rows: list[int], inputs: Batch, tokens: npt.NDArray[np.float32]) -> None:
    """Put the features of some rows where they belong."""
    for all_of_them, some in zip(whole, (tokens, inputs["mask"], inputs["time"]), strict=True):
        all_of_them[rows] = some


def _nothing(
    count: int, steps: int, width: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    tokens = np.zeros((count, steps, width), np.float32)
    return tokens, np.zeros((count, steps), np.bool_), np.zeros((count, steps), np.float32)


def options_of(card: Card) -> Any:
    """The modality's `Options`, as they were when its encoder was fitted."""
    options = kind_module(card.kind).Options
    return options(**{key: tuple(value) if isinstance(value, list) else value for key, value in card.options.items()})


def save_encoder(folder: Path, card: Card, network: nn.Module) -> None:
    """Write weights.safetensors and encoder.json into a folder."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(network.state_dict().items())}
    write_bytes(folder / "weights.safetensors", dump_weights(weights))
    said = asdict(card)
    write_json(folder / "encoder.json", {key: said[key] for key in said if key != "start" or card.start})


def load_encoder(folder: Path) -> Loaded:
    """Read what `save_encoder` wrote.

    Raises:
        NoData: a file is absent.
        ContractBroken: the files are not an encoder, or the weights are not those of its network.
    """
    raw, path = read_json(folder / "encoder.json"), folder / "weights.safetensors"
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro` the stage that makes it")
    try:
        card = Card(**raw)
        if card.kind not in KINDS:
            raise ValueError(f"kind {card.kind!r} is none of {', '.join(KINDS)}")
        how = _how(card)
        network: nn.Module = how.Encoder(options_of(card), card.facts, card.width, 0.0)
        network.load_state_dict(load_weights(path.read_bytes()), strict=True)
        _check_finite(network)
    except (OSError, TypeError, KeyError, AttributeError, ImportError, ValueError, RuntimeError, SafetensorError) as error:
        text = " ".join(str(error).split())[:300]
        raise ContractBroken(f"{folder} holds no encoder that this code can load: {text}") from error
    return Loaded(card, network.eval(), how)


def _how(card: Card) -> Any:
    if card.source is None:
        return network_module(card.kind)
    from tasks.extract.hub import Preparation

    return Preparation(card.kind, Source(**card.source), card.facts)


def _check_finite(network: nn.Module) -> None:
    for name, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} holds NaN or infinity")
