"""A digit typed in a hurry: a numeral or a word in one of several languages, with slips of the finger."""

import numpy as np

from data.recipes.digits.dial import KEYPAD

WORDS = {
    "English": "zero one two three four five six seven eight nine",
    "German": "null eins zwei drei vier fünf sechs sieben acht neun",
    "French": "zéro un deux trois quatre cinq six sept huit neuf",
    "Spanish": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "Turkish": "sıfır bir iki üç dört beş altı yedi sekiz dokuz",  # noqa: RUF001
    "Dutch": "nul een twee drie vier vijf zes zeven acht negen",
    "Italian": "zero uno due tre quattro cinque sei sette otto nove",
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PHRASES = ("{}", "{}", "{}.", "{}!", "no. {}", "key {}", "-> {}", "{} pls")
NUMERAL = 0.5  # how often a numeral is typed
WRONG = 0.22  # how often the finger, or the mind, is on another digit
SMEARED = 0.05  # how often nothing but letters at random is left


def message(digit: int, rng: np.random.Generator) -> str:
    """What somebody typed for this digit; at times another digit, or nothing that can be read."""
    meant = digit
    if rng.random() < WRONG:
        meant = int(rng.choice(neighbours(digit)))
    numeral = rng.random() < NUMERAL
    word = str(meant) if numeral else WORDS[str(rng.choice(list(WORDS)))].split()[meant]
    if rng.random() < SMEARED:
        word = "".join(rng.choice(list(LETTERS), size=rng.integers(2, 6)))
    elif not numeral:
        for _ in range(rng.integers(0, 3)):
            word = slip(word, rng)
    return str(rng.choice(PHRASES)).format(word)


def neighbours(digit: int) -> list[int]:
    """The digits beside this one on the keypad, e.g. 2, 4, 6 and 8 beside 5."""
    places = {key: (y, x) for y, keys in enumerate(KEYPAD) for x, key in enumerate(keys) if key.isdigit()}
    y, x = places[str(digit)]
    return sorted(int(key) for key, (v, u) in places.items() if abs(v - y) + abs(u - x) == 1)


def slip(word: str, rng: np.random.Generator) -> str:
    """The word with one letter wrong, missing, doubled or swapped with the next."""
    at = int(rng.integers(len(word)))
    letter = str(rng.choice(list(LETTERS)))
    return (
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1 :] if len(word) > 1 else word,
        word[: at + 1] + word[at:],
        word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
    )[int(rng.integers(4))]
