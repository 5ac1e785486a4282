"""Samples of several sites or devices: each domain's features standardised by its own statistics (`train.domains`).

A shift or a scale that a domain gives all its features is gone after that; Li, Wang, Shi, Liu, Hou, "Revisiting Batch
Normalization For Practical Domain Adaptation", ICLR workshops 2017, do it inside a network. Statistics are of the train split,
its unlabelled samples among them. A domain that is not named, unknown or has fewer than `LEAST` samples of a modality is
standardised by the statistics of all. Where domains differ in what they hold (one site has the sick) that goes too.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken
from tasks.features import Features
from tasks.files import read_json, write_json
from tasks.train.card import WEIGHTS, Card, read_weights, write_weights
from tasks.train.inputs import Inputs, present

LEAST = 20  # samples of which statistics are taken
FOLDER, FILE = "domains", "domains.json"  # inside a candidate's folder
FILES = (f"{FOLDER}/{FILE}", f"{FOLDER}/{WEIGHTS}")
PIECE = 1024  # rows looked at together

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Domains:
    """What is known of each domain's features; of none, features stay as they are.

    Attributes:
        column: of metadata.csv, which says the domain.
        names: the domains that have statistics of their own, sorted.
        mean: modality -> float32 [1 + domains, d], of all and then of each domain by `names`.
        scale: the same of the standard deviation, 1 where a feature is constant.
    """

    column: str = ""
    names: tuple[str, ...] = ()
    mean: Mapping[str, Array] = field(default_factory=dict)
    scale: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, column: str, inputs: Inputs) -> "Domains":
        """Measure samples of the train split, and the unlabelled ones beside them."""
        parts = [inputs] if inputs.unlabelled is None else [inputs, inputs.unlabelled]
        told = [np.array(part.domain, object) for part in parts]
        names, counts = np.unique(np.concatenate(told).astype(str), return_counts=True)
        kept = tuple(str(name) for name, count in zip(names, counts, strict=True) if name and count >= LEAST)
        mean, scale = {}, {}
        for m in inputs.features:
            found = [_moments([part.features[m] for part in parts], [np.ones(len(of), bool) for of in told])]
            for name in kept:
                chosen = [of == name for of in told]
                enough = sum(int(present(p.features[m])[rows].sum()) for p, rows in zip(parts, chosen, strict=True)) >= LEAST
                found.append(_moments([part.features[m] for part in parts], chosen) if enough else found[0])
            mean[m], scale[m] = (np.stack(column).astype(np.float32) for column in zip(*found, strict=True))
        return cls(column, kept, mean, scale)

    def normalised(self, features: Mapping[str, Features], domain: Sequence[str] | None = None) -> dict[str, Features]:
        """Features standardised by the domain of their sample.

        Args:
            features: modality -> features of the same n samples; one of another width is left for the candidate to refuse.
            domain: n names, "" where it is not known; None: of none.

        Raises:
            ContractBroken: another number of names than of samples.
        """
        places = {name: place for place, name in enumerate(self.names, 1)}
        found = {}
        for m, body in features.items():
            if m not in self.mean or body.tokens.shape[2] != self.mean[m].shape[1]:
                found[m] = body
                continue
            rows = np.zeros(len(body.mask), np.int64) if domain is None else np.array([places.get(d, 0) for d in domain], int)
            if len(rows) != len(body.mask):
                raise ContractBroken(f"{len(body.mask)} samples need as many domains, got {len(rows)}")
            tokens = np.zeros_like(body.tokens)  # also where the mask is off
            for at in range(0, len(rows), PIECE):
                part = slice(at, at + PIECE)
                mean, scale = (table[m][rows[part]][:, None] for table in (self.mean, self.scale))
                on = body.mask[part][:, :, None]
                np.divide(np.where(on, body.tokens[part], mean) - mean, scale, out=tokens[part])
            found[m] = Features(tokens, body.mask, body.time)
        return found

    def adapted(self, inputs: Inputs) -> Inputs:
        """Inputs with their features standardised by domain, the unlabelled among them."""
        beside = None if inputs.unlabelled is None else self.adapted(inputs.unlabelled)
        return Inputs(inputs.samples, self.normalised(inputs.features, inputs.domain), beside)

    def save(self, folder: Path) -> None:
        """Write them into a candidate's folder, where there are any."""
        if self.mean:
            (folder / FOLDER).mkdir()
            write_json(folder / FOLDER / FILE, {"column": self.column, "names": list(self.names)})
            arrays = {f"{m}.{key}": table[m] for key, table in (("mean", self.mean), ("scale", self.scale)) for m in table}
            write_weights(folder / FOLDER, arrays)

    @classmethod
    def load(cls, folder: Path, card: Card) -> "Domains":
        """Read what `save` wrote; a candidate's folder without any has none.

        Raises:
            ContractBroken: they are damaged, or of other modalities than the candidate.
        """
        if not (folder / FOLDER).is_dir():
            return cls()
        told = read_json(folder / FOLDER / FILE)
        if not _is_told(told):
            raise ContractBroken(f"{folder / FOLDER / FILE} must hold exactly a column and the sorted names of domains")
        rows = 1 + len(told["names"])
        shapes = {f"{m}.{key}": (rows, width) for m, width in card.widths.items() for key in ("mean", "scale")}
        arrays = read_weights(folder / FOLDER, shapes)
        mean, scale = ({m: arrays[f"{m}.{key}"] for m in card.widths} for key in ("mean", "scale"))
        if any((of <= 0).any() for of in scale.values()):
            raise ContractBroken(f"{folder / FOLDER / WEIGHTS}: scales must be above 0")
        return cls(told["column"], tuple(told["names"]), mean, scale)

    def only(self, modalities: Collection[str]) -> "Domains":
        """The statistics of some modalities."""
        mean, scale = ({m: of for m, of in table.items() if m in modalities} for table in (self.mean, self.scale))
        return Domains(self.column, self.names, mean, scale)


def _is_told(told: Any) -> bool:
    if not isinstance(told, dict) or set(told) != {"column", "names"} or not isinstance(told["column"], str):
        return False
    names = told["names"]
    return isinstance(names, list) and all(isinstance(n, str) and n for n in names) and sorted(set(names)) == names


def _moments(parts: Sequence[Features], rows: Sequence[npt.NDArray[np.bool_]]) -> tuple[Any, Any]:
    """Mean and standard deviation float64 [d] of the tokens that are there in some rows; 0 and 1 of none."""
    width = parts[0].tokens.shape[2]
    count, total, squares = 0, np.zeros(width), np.zeros(width)
    for tokens in _tokens(parts, rows):
        count += len(tokens)
        total += tokens.sum(0)
    mean = total / max(count, 1)
    for tokens in _tokens(parts, rows):
        squares += np.square(tokens - mean).sum(0)
    deviation = np.sqrt(squares / max(count, 1))
    return mean, np.where(deviation > 1e-6, deviation, 1.0)


def _tokens(parts: Sequence[Features], rows: Sequence[npt.NDArray[np.bool_]]) -> Iterator[npt.NDArray[np.float64]]:
    """The tokens that are there, float64 [k, d], of some rows at a time."""
    for body, chosen in zip(parts, rows, strict=True):
        numbers = np.flatnonzero(chosen)
        for at in range(0, len(numbers), PIECE):
            some = numbers[at : at + PIECE]
            yield body.tokens[some][body.mask[some]].astype(np.float64)
