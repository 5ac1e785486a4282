"""What methods that are off by default are worth on planted cases: one file per method, found by its name.

Each holds `CASES`, name -> `Case`: accuracy (or another share, higher is better) with the method and without it, by seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

HELPS, HARMLESS = 0.0, -0.01  # what the lower bound of a method's lead must be above: it must help, or must not hurt


@dataclass(frozen=True)
class Case:
    """One planted case.

    Attributes:
        score: (setting, seed) -> score on new samples.
        without: the setting that is compared with.
        settings: those that are judged, each by itself.
        bar: what the lower bound of each lead must be above: `HELPS` or `HARMLESS`.
    """

    score: Callable[[str, int], float]
    without: str
    settings: tuple[str, ...]
    bar: float

    def scores(self, seeds: range) -> Mapping[str, list[float]]:
        """Setting -> score by seed."""
        return {setting: [self.score(setting, seed) for seed in seeds] for setting in (self.without, *self.settings)}
