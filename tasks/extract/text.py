"""Text -> up to 4 tokens, one per quarter of it: pieces of 1 to 4 characters, embedded and averaged.

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
from torch.nn.functional import embedding_bag

from tasks.extract.layers import Inputs
from tasks.profile.text import Options, as_text

TOKENS = 4
LENGTHS = (1, 2, 3, 4)
STRETCH = 64  # pieces of a word that go into one token: a longer one, as of a script without blanks, is cut
NUMBER = np.dtype(np.int64)
NOTHING, UNKNOWN = 0, 1  # numbers before those of the vocabulary
EMBEDDED = 64
WORDS = 20_000  # whose numbers are remembered, some megabytes
DROPPED = 0.1  # share of pieces hidden in training


def pieces(text: str) -> list[str]:
    """All runs of 1 to 4 characters of each word, its ends marked, from its first character to its last."""
    words = [f"<{word}>" for word in text.casefold().split()]
    return [word[at : at + n] for word in words for at in range(len(word)) for n in LENGTHS if at + n <= len(word)]


def token_count(options: Options) -> int:
    """Words are dealt out to so many."""
    return TOKENS


def room(options: Options) -> int:
    """Pieces of a token: a text of n characters has at most 4 n, a token a quarter of them and what begins there."""
    return options.max_chars + STRETCH


def fit_facts(arrays: Sequence[npt.NDArray[np.int32]], options: Options) -> dict[str, Any]:
    """The commonest pieces of the training texts, at most `vocabulary`; each text counts once, ties go by the alphabet."""
    counts = Counter(piece for array in arrays for piece in set(pieces(as_text(array))))
    common = sorted(counts, key=lambda piece: (-counts[piece], piece))[: options.vocabulary]
    return {"vocabulary": sorted(common)}


def prepare(array: npt.NDArray[np.int32], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """`pieces` int64 [4, room]: numbers in the vocabulary, 0 where there is none; no time."""
    numbered = _numbered(tuple(facts["vocabulary"]))
    stretches = [stretch for word in as_text(array).split() for stretch in numbered(word)]
    whole, before = sum(map(len, stretches)), 0
    tokens: dict[int, list[bytes]] = {}
    for stretch in stretches:
        tokens.setdefault(TOKENS * before // whole, []).append(stretch)
        before += len(stretch)
    numbers = np.full((TOKENS, room(options)), NOTHING, dtype=NUMBER)
    for token, parts in enumerate(tokens.values()):
        found = np.frombuffer(b"".join(parts), dtype=NUMBER)[: numbers.shape[1]]  # case folding makes some texts longer
        numbers[token, : len(found)] = found
    return {"pieces": numbers, "mask": np.arange(TOKENS) < len(tokens), "time": np.zeros(TOKENS, dtype=np.float32)}


@lru_cache(maxsize=4)
def _numbered(vocabulary: tuple[str, ...]) -> Callable[[str], list[bytes]]:
    """A function that numbers the pieces of a word, stretch by stretch, as int64.

    It remembers words, since few of them make most of a language.
    """
    known = {piece: 2 + number for number, piece in enumerate(vocabulary)}

    @lru_cache(maxsize=WORDS)
    def numbered(word: str) -> list[bytes]:
        found = np.array([known.get(piece, UNKNOWN) for piece in pieces(word)], dtype=NUMBER).tobytes()
        size = STRETCH * NUMBER.itemsize
        return [found[at : at + size] for at in range(0, len(found), size)]

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
        numbers = inputs["pieces"]
        count = (numbers != NOTHING).sum(2, keepdim=True)  # [b, t, 1]
        # NOTHING's row is 0; that it stays so is told where there are gradients, since the telling is slow.
        nothing = NOTHING if torch.is_grad_enabled() else None
        summed: Tensor = embedding_bag(numbers.flatten(0, 1), self.embedding.weight, mode="sum", padding_idx=nothing)
        tokens: Tensor = self.join(summed.reshape(*numbers.shape[:2], EMBEDDED) / count.clamp(min=1).sqrt())
        return tokens
