"""Texts: typed in haste, words left out, the end cut off."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tasks.profile.text import Options, as_text, decode

TYPOS = 0.4  # share of the letters and digits that are hit
LEFT_OUT = 0.8  # share of the words
CUT_OFF = 0.8  # share of the characters
ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")  # of a keyboard


def _neighbours() -> dict[str, str]:
    """What lies beside each key, and above and below it."""
    found = {}
    for number, row in enumerate(ROWS):
        for place, key in enumerate(row):
            near = [(number, place - 1), (number, place + 1), (number - 1, place), (number + 1, place)]
            found[key] = "".join(ROWS[r][p] for r, p in near if 0 <= r < len(ROWS) and 0 <= p < len(ROWS[r]))
    return found


NEIGHBOURS = _neighbours()


def read(data: bytes, options: Options, facts: Mapping[str, Any]) -> str:
    """What is used of the text."""
    return as_text(decode(data, options))


def write(text: str) -> bytes:
    """UTF-8."""
    return text.encode()


def typos(text: str, level: float, rng: np.random.Generator) -> str:
    """Letters that change places with the next, are left out, or are those of the key beside; a third each.

    What no such keyboard has is mistaken for another character of the text.
    """
    luck, kind, other = rng.random((3, len(text)))
    found, at = [], 0
    while at < len(text):
        here, after = text[at], text[at + 1 : at + 2]
        hit = here.isalnum() and luck[at] < TYPOS * level
        if hit and kind[at] < 1 / 3 and after:
            found += [after, here]
            at += 1
        elif not hit or kind[at] < 1 / 3:
            found.append(here)
        elif kind[at] > 2 / 3:
            found.append(_mistaken(here, NEIGHBOURS.get(here.lower(), text), other[at]))
        at += 1
    return "".join(found) if "".join(found).strip() else text


def _mistaken(key: str, near: str, luck: float) -> str:
    chosen = near[int(luck * len(near))]
    return chosen.upper() if key.isupper() else chosen


def omission(text: str, level: float, rng: np.random.Generator) -> str:
    """Words left out; one always stays."""
    words = text.split()
    luck = rng.random(len(words))
    kept = [word for word, chance in zip(words, luck, strict=True) if chance >= LEFT_OUT * level]
    return " ".join(kept or [words[int(luck.argmax())]])


def truncation(text: str, level: float, rng: np.random.Generator) -> str:
    """Only the beginning."""
    return text[: max(1, math.ceil(len(text) * (1 - CUT_OFF * level)))].rstrip()


CORRUPTIONS: Mapping[str, Callable[[str, float, np.random.Generator], str]] = {
    "typos": typos,
    "omission": omission,
    "truncation": truncation,
}
