"""What each part of a sample is worth to an answer, and whether that can be believed.

Castro, Gómez, Tejada, "Polynomial calculation of the Shapley value based on sampling", Computers & Operations Research 2009, as
captum has it: parts come in by turns, in orders of chance, and each is worth what the answer rises by on average. All together
are worth what the answer has more than one without the modality's content. A class's worth is counted in log odds, since a
probability near 1 hardly moves whatever is hidden.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from captum.attr import ShapleyValueSampling
from scipy.special import expit, logit
from scipy.stats import rankdata
from torch import nn

from tasks.bundle import Bundle
from tasks.damage import kind_module as opener
from tasks.extract import BATCH, Loaded, options_of
from tasks.features import Features
from tasks.params import keyed_seed
from tasks.train.inputs import chosen

ORDERS = 6  # of chance, of each half
STEPS = 10  # of a deletion curve
FEWEST = 3  # parts between which an order says something
NEVER = 1e-6  # of a probability: the farthest from 0 and 1 that is told apart

Array = npt.NDArray[np.float64]
Ask = Callable[[npt.NDArray[np.bool_]], Array]  # parts that are there, bool [n, parts] -> log odds or values, float64 [n]


@dataclass(frozen=True)
class Opened:
    """One modality of one sample.

    Attributes:
        modality: its name.
        thing: as `tasks.damage` opens it.
        parts: how many it has.
    """

    modality: str
    thing: Any
    parts: int


@dataclass(frozen=True)
class Question:
    """What a model is asked of one sample.

    Attributes:
        features: modality -> features of the sample alone, as it landed.
        domain: that it comes from, "" where that is not known; None: the model takes none.
        target: what is answered.
        column: of the answer.
        number: the answer is a value, and no probability.
        lacks: the answer is that the sample does not have the column's label.
    """

    features: Mapping[str, Features]
    domain: str | None
    target: str
    column: int
    number: bool
    lacks: bool = False


def asker(bundle: Bundle, opened: Opened, how: ModuleType, question: Question) -> Ask:
    """A function that hides parts of one modality and asks the model; what it was asked before it remembers."""
    kind, facts = opener(bundle.kinds[opened.modality]), bundle.encoders[opened.modality].card.facts
    known: dict[bytes, float] = {}

    def ask(on: npt.NDArray[np.bool_]) -> Array:
        new = {row.tobytes(): row for row in on if row.tobytes() not in known}
        rows = list(new.values())
        for at in range(0, len(rows), BATCH):
            items = [kind.write(how.hidden(opened.thing, ~row, facts)) for row in rows[at : at + BATCH]]
            for row, value in zip(rows[at : at + BATCH], _answers(bundle, opened.modality, items, question), strict=True):
                known[row.tobytes()] = float(value)
        return np.array([known[row.tobytes()] for row in on])

    return ask


def _answers(bundle: Bundle, modality: str, items: Sequence[bytes], question: Question) -> Array:
    count = len(items)
    given = {m: _repeated(body, count) for m, body in question.features.items()} | {modality: bundle.encode(modality, items)}
    domain = None if question.domain is None else [question.domain] * count
    answer = bundle.predict(given, domain)[question.target][:, question.column]
    if question.number:
        return answer
    odds = np.asarray(logit(np.clip(answer, NEVER, 1 - NEVER)))
    return -odds if question.lacks else odds


def _repeated(body: Features, count: int) -> Features:
    return chosen(body, np.zeros(count, np.int64))


def shapley(ask: Ask, parts: int, seed: int) -> Array:
    """Estimated Shapley values of the parts, float64 [parts]; they add up to the answer with all less the answer with none."""

    def forward(on: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(ask(on.numpy() > 0.5))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        there = torch.ones((1, parts), dtype=torch.float64)
        found = ShapleyValueSampling(forward).attribute(there, n_samples=ORDERS, perturbations_per_eval=BATCH)
    return np.asarray(found[0].numpy(), np.float64)


def deletion(ask: Ask, worth: Array, luck: np.random.Generator, number: bool) -> dict[str, Array]:
    """What the probability or value loses as parts are hidden by an order, float64 [STEPS + 1] from none of them to all.

    Petsiuk, Das, Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018.

    Args:
        ask: the model.
        worth: of each part.
        luck: draws the order that parts are held against.
        number: the answer is a value, that loses by going either way: the order is that of sizes.

    Returns:
        By `largest` first, by chance (`random`), by `smallest` first.
    """
    order = np.argsort(-(np.abs(worth) if number else worth), kind="stable")
    found = {}
    for name, parts in (("largest", order), ("random", luck.permutation(len(order))), ("smallest", order[::-1])):
        place = np.empty(len(parts), np.int64)
        place[parts] = np.arange(len(parts))
        answers = ask(np.stack([place >= round(step * len(parts) / STEPS) for step in range(STEPS + 1)]))
        found[name] = np.abs(answers[0] - answers) if number else expit(answers[0]) - expit(answers)
    return found


def alike(one: Array, other: Array) -> float:
    """Spearman's correlation of two attributions; 0 where one of them says nothing."""
    if len(one) < FEWEST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


def randomised(bundle: Bundle, seed: int) -> Bundle:
    """The same model behind encoders that have forgotten all: the weights of each of their matrices change places by chance.

    Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: an explanation that stays the same shows the input, and
    nothing of what was learned.
    """
    for m in bundle.modalities:
        bundle.encode(m, [])  # brings the encoder
    return replace(bundle, encoders={m: _shuffled(loaded, seed, m) for m, loaded in bundle.encoders.items()})


def _shuffled(loaded: Loaded, seed: int, modality: str) -> Loaded:
    network: nn.Module = loaded.how.Encoder(options_of(loaded.card), loaded.card.facts, loaded.card.width, 0.0)
    network.load_state_dict(loaded.network.state_dict())
    with torch.no_grad():
        for name, weights in network.named_parameters():
            luck = np.random.default_rng(keyed_seed(seed, "explain", modality, name))
            order = torch.from_numpy(luck.permutation(weights.numel()))
            weights.copy_(weights.flatten()[order].reshape(weights.shape))
    return replace(loaded, network=network.eval())
