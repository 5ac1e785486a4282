"""A candidate that is a network: a fusion of several modalities, or one modality alone."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tasks.errors import ContractBroken, UnknownName
from tasks.features import Features
from tasks.standard import NAMES, answer
from tasks.train.align import Align, unit
from tasks.train.card import Card, are_statistics, read_card, read_weights, write_weights
from tasks.train.fusions import FUSIONS
from tasks.train.inputs import assembled, present
from tasks.train.mapping import MAPS
from tasks.train.network import Network

ROWS = 1024  # predicted at once: memory stays flat
SETTINGS = {"fusion", "width", "heads", "dropout", "prior"}  # and "statistics", where a target is a value; "align", "mapping"

Answers = dict[str, npt.NDArray[np.float64]]


class Neural:
    """A fitted network with its card."""

    def __init__(self, card: Card, network: Network) -> None:
        """Take a network whose weights are fitted."""
        self.card, self.network = card, network.eval()

    def predict(self, features: Mapping[str, Features]) -> Answers:
        """Per target probabilities float64 [n, classes], or values [n, 1] in the target's unit.

        A sample that has none of the modalities gets the train split's prior, or its mean.

        Args:
            features: modality -> features of the same n samples; a modality may be left out.

        Raises:
            ContractBroken: features of another width than the candidate was fitted on, or of unequal length.
        """
        inputs = complete(features, self.card)
        rows = len(next(iter(inputs.values())).mask)
        outputs, statistics = self.card.outputs, self.card.settings.get("statistics", {})
        found = {target: np.zeros((rows, output.width)) for target, output in outputs.items()}
        for part, (tokens, mask, time) in pieces(inputs, rows):
            with torch.inference_mode():
                raw = self.network(tokens, mask, time)
            for target, values in raw.items():
                found[target][part] = answer(values.double().numpy(), outputs[target], statistics.get(target))
        nothing = ~np.logical_or.reduce([present(body) for body in inputs.values()])
        for target, values in found.items():
            values[nothing] = statistics[target]["mean"] if target in statistics else self.card.settings["prior"][target]
        return found

    def fused(self, features: Mapping[str, Features]) -> npt.NDArray[np.float64]:
        """What the heads see, float64 [n, width]: they are linear, so near samples get near answers. See `predict`."""
        inputs = complete(features, self.card)
        rows = len(next(iter(inputs.values())).mask)
        found = np.zeros((rows, self.card.settings["width"]))
        for part, (tokens, mask, time) in pieces(inputs, rows):
            with torch.inference_mode():
                found[part] = self.network.fused(tokens, mask, time).double().numpy()
        return found

    def weights(self, features: Mapping[str, Features]) -> dict[str, npt.NDArray[np.float64]]:
        """How much of what is fused is each modality's: modality -> float64 [n], 0 where it is missing.

        Nothing of one modality alone, and of a fusion that mixes by no weights. See `predict`.
        """
        inputs, names = complete(features, self.card), self.network.modalities
        rows = len(next(iter(inputs.values())).mask)
        found = np.zeros((rows, len(names)))
        for part, (tokens, mask, time) in pieces(inputs, rows):
            with torch.inference_mode():
                weights = self.network.weights(tokens, mask, time)
            if weights is None or len(names) < 2:
                return {}
            found[part] = weights.double().numpy()
        return dict(zip(names, found.T, strict=True))

    def masked(self) -> "Neural":
        """The same, but that gaps stay open which `train.missing: mapped` fills."""
        network = copy.deepcopy(self.network)
        network.filling = None
        return Neural(self.card, network)

    def placed(self, modality: str, features: Features) -> npt.NDArray[np.float64]:
        """Where samples lie in the space that modalities share: float64 [n, width] of length 1, NaN where it is missing.

        Raises:
            ContractBroken: the candidate was fitted without `train.align`, or on features of another width.
            UnknownName: it does not use this modality.
        """
        self._aligned()
        if modality not in self.card.widths:
            raise UnknownName("modality", modality, self.card.modalities)
        inputs = complete({modality: features}, self.card)
        found = np.full((len(features.mask), self.card.settings["width"]), np.nan)
        for part, (tokens, mask, _) in pieces(inputs, len(features.mask)):
            with torch.inference_mode():
                vectors, there = self.network.placed(modality, tokens[modality], mask[modality])
                found[part][there.numpy()] = unit(vectors[there]).double().numpy()
        return found

    @property
    def sharpness(self) -> float:
        """What cosines of the shared space are multiplied with to be told apart: one over the learned temperature."""
        return float(self._aligned().sharpness.detach())

    def _aligned(self) -> Align:
        if self.network.align is None:
            raise ContractBroken(f"{self.card.name} was fitted without train.align: its modalities share no space")
        return self.network.align

    def save(self, folder: Path) -> None:
        """Write candidate.json and weights.safetensors into a folder."""
        self.card.write(folder)
        write_weights(folder, {name: tensor.numpy() for name, tensor in self.network.state_dict().items()})

    @classmethod
    def load(cls, folder: Path) -> "Neural":
        """Read what `save` wrote. Weights are compared with the card before any memory of the card's sizes is taken.

        Raises:
            ContractBroken: card and weights do not belong together, or the card asks for something unknown.
        """
        card = read_card(folder)
        settings = card.settings
        if not _are_settings(card):
            raise ContractBroken(f"{folder}: the settings of a network must be {', '.join(sorted(SETTINGS))}, got {settings!r}")
        with torch.device("meta"):
            network = Network(
                settings["fusion"],
                card.widths,
                card.sizes,
                settings["width"],
                settings["heads"],
                settings["dropout"],
                settings.get("align", False),
                settings.get("mapping"),
            )
        tensors = read_weights(folder, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
        network.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()}, assign=True)
        return cls(card, network)


def _are_settings(card: Card) -> bool:
    """Whether a card's settings can be those of a network; they come from a file."""
    settings: dict[str, Any] = {**card.settings}
    if settings.pop("align", True) is not True or settings.pop("mapping", "linear") not in tuple(MAPS):
        return False
    if card.values and not are_statistics(settings.pop("statistics", None), card.values, NAMES):
        return False
    if set(settings) != SETTINGS or settings["fusion"] not in FUSIONS or not isinstance(settings["prior"], dict):
        return False
    chosen = {t: (size,) for t, size in card.sizes.items() if t not in card.values}
    if {t: np.shape(prior) for t, prior in settings["prior"].items()} != chosen:
        return False
    whole = all(type(settings[key]) is int and settings[key] > 0 for key in ("width", "heads"))
    return whole and type(settings["dropout"]) is float and 0 <= settings["dropout"] < 1


def complete(features: Mapping[str, Features], card: Card) -> dict[str, Features]:
    """Features of exactly the card's modalities; one that is not given becomes one token that is not there.

    Raises:
        ContractBroken: nothing given, another width than the card's, or unequal lengths.
    """
    lengths = {m: len(body.mask) for m, body in features.items()}
    if len(set(lengths.values())) != 1:
        raise ContractBroken(f"{card.name} needs features of the same samples for every modality, got rows {lengths}")
    rows = next(iter(lengths.values()))
    inputs = {}
    for modality, width in card.widths.items():
        body = features[modality] if modality in features else assembled(rows, 1, width, [])
        if body.tokens.shape[2] != width:
            raise ContractBroken(f"{card.name} was fitted on {width} features of {modality}, got {body.tokens.shape[2]}")
        inputs[modality] = body
    return inputs


def pieces(inputs: Mapping[str, Features], rows: int) -> Iterator[tuple[slice, tuple[dict[str, Tensor], ...]]]:
    """Yield some of the rows at a time, and their tokens, mask and time as tensors."""
    for start in range(0, rows, ROWS):
        part = slice(start, start + ROWS)
        yield (
            part,
            (
                {m: torch.tensor(body.tokens[part]) for m, body in inputs.items()},
                {m: torch.tensor(body.mask[part]) for m, body in inputs.items()},
                {m: torch.tensor(body.time[part]) for m, body in inputs.items()},
            ),
        )
