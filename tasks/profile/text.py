"""Text: UTF-8 bytes -> int32 [n], the code points of its NFKC form."""

import hashlib
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken
from tasks.profile import require_at_least

MEASURES = ("chars", "words", "letters_share")
TOO_SHORT = 40  # letters and digits: two people write the same short text without copying


@dataclass(frozen=True)
class Options:
    """What a text modality may be told in params.yaml."""

    max_chars: int = 256  # what comes later in a text is not used
    max_bytes: int = 1_000_000  # a longer text is refused before it is decoded
    vocabulary: int = 1024  # the commonest pieces (1 to 4 characters) of the training texts

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_at_least(self, max_chars=1, max_bytes=1, vocabulary=1)


def decode(data: bytes, options: Options) -> npt.NDArray[np.int32]:
    """Decode strictly, normalise (NFKC), strip white space at both ends, cut to `max_chars`.

    Returns:
        int32 [n], n at least 1: Unicode code points.

    Raises:
        ContractBroken: more than `max_bytes`, not UTF-8, or nothing but white space.
    """
    if len(data) > options.max_bytes:
        raise ContractBroken(f"text of {len(data)} bytes; at most max_bytes = {options.max_bytes} are decoded")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractBroken(f"text is not UTF-8: {error.reason} at byte {error.start}") from error
    # one code point can become 18 (U+FDFA): cut before as well as after
    text = unicodedata.normalize("NFKC", text.strip()[: 4 * options.max_chars]).strip()[: options.max_chars]
    if not text:
        raise ContractBroken("text holds nothing but white space")
    return np.frombuffer(text.encode("utf-32-le"), dtype="<i4").astype(np.int32)


def as_text(array: npt.NDArray[np.int32]) -> str:
    """The text of its code points."""
    return array.astype("<i4").tobytes().decode("utf-32-le")


def measure(array: npt.NDArray[np.int32], options: Options) -> dict[str, float]:
    """Characters, words, and the share of characters that are letters."""
    text = as_text(array)
    letters = sum(character.isalpha() for character in text)
    return {"chars": float(len(text)), "words": float(len(text.split())), "letters_share": letters / len(text)}


def near_hash(array: npt.NDArray[np.int32]) -> int | None:
    """Hash of the letters and digits alone, case folded; None when they are few.

    Texts that differ in case, spaces or punctuation share it. It is no distance: other texts get any other number.
    """
    plain = "".join(character for character in as_text(array).casefold() if character.isalnum())
    if len(plain) < TOO_SHORT:
        return None
    return int.from_bytes(hashlib.sha256(plain.encode()).digest()[:8], "big", signed=True)


def duration_s(array: npt.NDArray[np.int32], options: Options) -> float | None:
    """A text has no duration."""
    return None
