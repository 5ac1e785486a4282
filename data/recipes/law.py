"""A planted joint law: what a sample hides, what each modality shows of it, and the best that any model can do.

A sample hides a state, which has a label. Given the state each modality shows a symbol, independently of the others, or is
missing. All noise stands between state and symbol: a generator draws a symbol so that it cannot be taken for another one.
So the best decision is an exact sum over few states, and so are its score and that of each modality alone.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Channel = Mapping[Any, Mapping[str, float]]  # by state: the probability of each symbol
Shown = Mapping[str, str | None]  # by modality: its symbol, None where it is missing


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
    """

    prior: Mapping[Any, float]
    labels: Mapping[Any, str]
    channels: Mapping[str, Channel]
    missing: float = 0.05

    @property
    def classes(self) -> list[str]:
        """The labels, sorted."""
        return sorted(set(self.labels.values()))

    def draw(self, rng: np.random.Generator) -> tuple[str, dict[str, str]]:
        """Draw one sample: its label, and the symbol of each modality that it has."""
        state = _drawn(self.prior, rng)
        while True:
            symbols = {name: _drawn(channel[state], rng) for name, channel in self.channels.items()}
            shown = {name: symbol for name, symbol in symbols.items() if rng.random() >= self.missing}
            if shown:
                return self.labels[state], shown

    def mass(self, shown: Shown) -> npt.NDArray[np.float64]:
        """How likely each label is together with what is shown: float64 [classes], up to a constant factor.

        Args:
            shown: of all modalities, or of some: the others are then summed over.
        """
        masses = np.zeros(len(self.classes))
        for state, probability in self.prior.items():
            chances = (self._chance(name, state, symbol) for name, symbol in shown.items())
            masses[self.classes.index(self.labels[state])] += probability * prod(chances)
        return masses

    def _chance(self, modality: str, state: Any, symbol: str | None) -> float:
        if symbol is None:
            return self.missing
        return (1 - self.missing) * self.channels[modality][state].get(symbol, 0.0)

    def score(self, modalities: Collection[str]) -> float:
        """The accuracy of the best decision from these modalities alone: of all the Bayes score, of none the best constant.

        Whatever they show, the likeliest label is right as often as it is likely.
        """
        seen: dict[tuple[str | None, ...], npt.NDArray[np.float64]] = {}
        for shown in self._everything():
            key = tuple(shown[name] for name in modalities)
            seen[key] = seen.get(key, 0.0) + self.mass(shown)
        return float(sum(masses.max() for masses in seen.values()) / sum(masses.sum() for masses in seen.values()))

    @property
    def scores(self) -> dict[str, float]:
        """What no model beats, by what it sees: `all`, each modality alone, `nothing`."""
        alone = {name: self.score([name]) for name in self.channels}
        return {"all": self.score(list(self.channels)), **alone, "nothing": self.score([])}

    def _everything(self) -> Iterator[dict[str, str | None]]:
        """All that a sample can show."""
        symbols = {name: dict.fromkeys(s for one in c.values() for s in one) for name, c in self.channels.items()}
        for combination in product(*([*found, None] for found in symbols.values())):
            if any(symbol is not None for symbol in combination):
                yield dict(zip(symbols, combination, strict=True))


def _drawn(chances: Mapping[Any, float], rng: np.random.Generator) -> Any:
    at = np.searchsorted(np.cumsum(list(chances.values())), rng.random(), side="right")
    return list(chances)[min(int(at), len(chances) - 1)]  # the sum may end a rounding below 1
