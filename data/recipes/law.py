"""A planted joint law: what a sample hides, what each modality shows of it, and the best that any model can do.

A sample hides a state, which has a label and perhaps a value. Given the state each modality shows a symbol, independently of
the others, or is missing. All noise stands between state and symbol: a generator draws a symbol so that it cannot be taken for
another one. So the best answer is an exact sum over few states, and so are its scores and those of each modality alone.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Channel = Mapping[Any, Mapping[str, float]]  # by state: the probability of each symbol
Shown = Mapping[str, str | None]  # by modality: its symbol, None where it is missing
Masses = npt.NDArray[np.float64]


def noisy(meant: str, symbols: Sequence[str], wrong: float) -> dict[str, float]:
    """The probability of each symbol when `meant` is shown, but with probability `wrong` one of the others, evenly."""
    return {symbol: 1 - wrong if symbol == meant else wrong / (len(symbols) - 1) for symbol in symbols}


@dataclass(frozen=True)
class Law:
    """A joint law over few states.

    Attributes:
        prior: the probability of each state; they add up to 1.
        labels: each state's label; several may share one.
        channels: by modality, by state: the probability of each symbol; they add up to 1.
        missing: the share of each modality that is missing at random; a sample without any is drawn again.
        values: each state's value, of a second target; without it there is none.
        spread: deviation of a sample's value about its state's, which nothing shows.
    """

    prior: Mapping[Any, float]
    labels: Mapping[Any, str]
    channels: Mapping[str, Channel]
    missing: float = 0.05
    values: Mapping[Any, float] = field(default_factory=dict)
    spread: float = 0.0

    @property
    def classes(self) -> list[str]:
        """The labels, sorted."""
        return sorted(set(self.labels.values()))

    def draw(self, rng: np.random.Generator) -> tuple[Any, dict[str, str]]:
        """Draw one sample: its state, and the symbol of each modality that it has."""
        state = _drawn(self.prior, rng)
        while True:
            symbols = {name: _drawn(channel[state], rng) for name, channel in self.channels.items()}
            shown = {name: symbol for name, symbol in symbols.items() if rng.random() >= self.missing}
            if shown:
                return state, shown

    def mass(self, shown: Shown) -> Masses:
        """How likely each state is together with what is shown: float64 [states], up to a constant factor.

        Args:
            shown: of all modalities, or of some: the others are then summed over.
        """
        chances = ([self._chance(name, state, symbol) for name, symbol in shown.items()] for state in self.prior)
        return np.array([probability * prod(of) for probability, of in zip(self.prior.values(), chances, strict=True)])

    def _chance(self, modality: str, state: Any, symbol: str | None) -> float:
        if symbol is None:
            return self.missing
        return (1 - self.missing) * self.channels[modality][state].get(symbol, 0.0)

    def accuracy(self, modalities: Collection[str]) -> float:
        """How often the best decision from these modalities alone is right: whatever they show, the likeliest label."""
        masses = self._seen(modalities) @ self.labelled
        return float(masses.max(axis=1).sum() / masses.sum())

    def precision(self, modalities: Collection[str], label: str, share: float | None = None) -> float:
        """The highest average precision (AUPRC) of a label, from these modalities alone.

        Args:
            modalities: that are seen.
            label: that is to be found.
            share: of the samples that have it, as chance had it; None: as the law has it.

        It is that of the label's probability given what they show: of all ways to rank it finds the most at any share that it
        picks (Neyman, Pearson, "On the Problem of the Most Efficient Tests of Statistical Hypotheses", 1933).
        """
        masses = self._seen(modalities)
        mine, all_ = (masses @ self.labelled)[:, self.classes.index(label)], masses.sum(axis=1)
        if share is not None:
            others, (have, whole) = all_ - mine, (mine.sum(), all_.sum())
            mine = mine * share / have
            all_ = mine + others * (1 - share) / (whole - have)
        chances, step = np.unique((-mine / all_).round(12), return_inverse=True)  # what is as likely is found at once
        found, picked = (np.bincount(step, weights=of, minlength=len(chances)) for of in (mine, all_))
        return float((found * found.cumsum() / picked.cumsum()).sum() / found.sum())

    def explained(self, modalities: Collection[str]) -> float:
        """The share of the values' variance that the best answer explains, their mean given what these modalities show."""
        masses, values = self._seen(modalities), np.array([self.values[state] for state in self.prior])
        total, whole = masses.sum(axis=1), masses.sum(axis=0) / masses.sum()
        means = masses @ values / total
        left = (masses @ values**2 / total - means**2) @ total / total.sum()
        variance = whole @ values**2 - (whole @ values) ** 2
        return float(1 - (left + self.spread**2) / (variance + self.spread**2))

    def best(self, score: Callable[[Collection[str]], float]) -> dict[str, float]:
        """What no model beats, by what it sees: `all`, each modality alone, `nothing`."""
        return {"all": score(list(self.channels)), **{name: score([name]) for name in self.channels}, "nothing": score([])}

    @property
    def scores(self) -> dict[str, float]:
        """Accuracies that no model beats (see `best`)."""
        return self.best(self.accuracy)

    @property
    def labelled(self) -> Masses:
        """Which label each state has: 0 and 1, float64 [states, classes]."""
        return np.array([[float(self.labels[state] == label) for label in self.classes] for state in self.prior])

    def _seen(self, modalities: Collection[str]) -> Masses:
        """How likely each state is together with each thing that these modalities can show: float64 [things, states]."""
        seen: dict[tuple[str | None, ...], Masses] = {}
        for shown in self._everything():
            key = tuple(shown[name] for name in modalities)
            seen[key] = seen.get(key, 0.0) + self.mass(shown)
        found = np.array(list(seen.values()))
        return found[found.sum(axis=1) > 0]

    def _everything(self) -> Iterator[dict[str, str | None]]:
        """All that a sample can show."""
        symbols = {name: dict.fromkeys(s for one in c.values() for s in one) for name, c in self.channels.items()}
        for combination in product(*([*found, None] for found in symbols.values())):
            if any(symbol is not None for symbol in combination):
                yield dict(zip(symbols, combination, strict=True))


def _drawn(chances: Mapping[Any, float], rng: np.random.Generator) -> Any:
    at = np.searchsorted(np.cumsum(list(chances.values())), rng.random(), side="right")
    return list(chances)[min(int(at), len(chances) - 1)]  # the sum may end a rounding below 1
