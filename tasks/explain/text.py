"""Texts: words; one that is hidden is left out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.explain import runs
from tasks.explain.tints import colour

LINE = 20  # characters
LINES = 10
INK, PAPER = "#1d1d1b", 0.55  # words on tints that are darker than so much would not be read


def parts(text: str) -> int:
    """Words, or runs of them."""
    return int(runs(len(text.split()))[-1]) + 1


def hidden(text: str, gone: npt.NDArray[np.bool_], facts: Mapping[str, Any]) -> str:
    """Words left out."""
    words = text.split()
    return " ".join(word for word, part in zip(words, runs(len(words)), strict=True) if not gone[part])


def draw(axes: Any, text: str, tint: npt.NDArray[np.float64]) -> None:
    """The words, tinted, as many as there is room for."""
    axes.set(xlim=(0, LINE), ylim=(LINES, 0))
    axes.axis("off")
    words = text.split()
    row, at = 0, 0
    for number, (word, part) in enumerate(zip(words, runs(len(words)), strict=True)):
        shown = word if len(word) < LINE else f"{word[: LINE - 2]}…"
        if at and at + len(shown) > LINE:
            row, at = row + 1, 0
        if row == LINES - 1 and number < len(words) - 1:
            axes.text(at, row + 0.5, "…", fontsize=10, family="monospace", va="center")
            return
        box = {"facecolor": colour(PAPER * tint[part]), "edgecolor": "none", "pad": 1.5}
        axes.text(at, row + 0.5, shown, fontsize=10, family="monospace", va="center", color=INK, bbox=box)
        at += len(shown) + 1
