"""Text -> up to 4 tokens, one per quarter of its words: pieces of 1 to 4 characters, embedded and averaged.

Character pieces forgive typos and need no tokenizer per language (Bojanowski et al. 2017, "Enriching Word Vectors with
Subword Information").
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs
from tasks.profile.text import Options, as_text

TOKENS = 4
PIECES = 128  # per token; what is more is not used
LENGTHS = (1, 2, 3, 4)
NOTHING, UNKNOWN = 0, 1  # numbers before those of the vocabulary
EMBEDDED = 64
WORDS = 20_000  # whose numbers are remembered, some megabytes
DROPPED = 0.1  # share of pieces hidden in training


def pieces(text: str) -> list[str]:
    """All runs of 1 to 4 characters of each word, its ends marked."""
    words = [f"<{word}>" for word in text.casefold().split()]
    return [word[at : at + n] for word in words for n in LENGTHS for at in range(len(word) - n + 1)]


def token_count(options: Options) -> int:
    """Words are dealt out to so many."""
    return TOKENS


def fit_facts(arrays: Sequence[npt.NDArray[np.int32]], options: Options) -> dict[str, Any]:
    """The commonest pieces of the training texts, at most `vocabulary`; each text counts once, ties go by the alphabet."""
    counts = Counter(piece for array in arrays for piece in set(pieces(as_text(array))))
    common = sorted(counts, key=lambda piece: (-counts[piece], piece))[: options.vocabulary]
    return {"vocabulary": sorted(common)}


def prepare(array: npt.NDArray[np.int32], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """`pieces` int64 [4, 128]: numbers in the vocabulary, 0 where there is none; no time."""
    numbered = _numbered(tuple(facts["vocabulary"]))
    words = as_text(array).split()
    count = min(TOKENS, len(words))
    numbers = np.full((TOKENS, PIECES), NOTHING, dtype=np.int64)
    least, longer = divmod(len(words), count)
    for token in range(count):  # the first ones have a word more
        begin = token * least + min(token, longer)
        chunk = words[begin : begin + least + (token < longer)]
        found = np.frombuffer(b"".join(map(numbered, chunk)), dtype=np.int64)[:PIECES]
        numbers[token, : len(found)] = found
    return {"pieces": numbers, "mask": np.arange(TOKENS) < count, "time": np.zeros(TOKENS, dtype=np.float32)}


@lru_cache(maxsize=4)
def _numbered(vocabulary: tuple[str, ...]) -> Callable[[str], bytes]:
    """A function that numbers the pieces of a word, as int64; it remembers words, since few of them make most of a language."""
    known = {piece: 2 + number for number, piece in enumerate(vocabulary)}

    @lru_cache(maxsize=WORDS)
    def numbered(word: str) -> bytes:
        return np.array([known.get(piece, UNKNOWN) for piece in pieces(word)[:PIECES]], dtype=np.int64).tobytes()

    return numbered


def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Hide some pieces, as a typo would."""
    hidden = torch.rand(inputs["pieces"].shape, generator=generator) < DROPPED
    return {**inputs, "pieces": inputs["pieces"].masked_fill(hidden, NOTHING)}


class Encoder(nn.Module):
    """Embeds pieces, averages them, one hidden layer."""

    def __init__(self, options: Options, facts: Mapping[str, Any], width: int, dropout: float) -> None:
        """Make the layers; see the package for the arguments."""
        super().__init__()
        self.embedding = nn.Embedding(2 + len(facts["vocabulary"]), EMBEDDED, padding_idx=NOTHING)
        self.join = nn.Sequential(nn.Linear(EMBEDDED, width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """`pieces` int64 [b, t, p] -> tokens float32 [b, t, width]."""
        count = (inputs["pieces"] != NOTHING).sum(2, keepdim=True)  # [b, t, 1]
        summed = self.embedding(inputs["pieces"]).sum(2)  # NOTHING's row is 0, and stays so
        tokens: Tensor = self.join(summed / count.clamp(min=1).sqrt())
        return tokens
