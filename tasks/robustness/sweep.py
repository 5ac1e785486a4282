"""One modality's features at every level of every corruption, by the encoders of a bundle."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from tasks.bundle import Bundle
from tasks.extract import options_of
from tasks.features import Features
from tasks.robustness import CLEAN, Shown, damaged, kind_module
from tasks.train.inputs import Rows, assembled
from tasks.train.raws import raw_rows

PIECE = 64  # samples that are held at once, opened

Swept = dict[Shown, Features]


def swept(bundle: Bundle, modality: str, samples: pa.Table, levels: Sequence[float], seed: int) -> Swept:
    """Features of these samples, row by row, as they landed (`CLEAN`) and under each corruption at each level.

    A corruption that changes nothing in any of them (a category that a table does not have, the only word of a text) is left
    out.

    Args:
        bundle: whose encoder is used.
        modality: one of its.
        samples: rows of the manifest.
        levels: above 0, rising.
        seed: of the run.
    """
    bundle.encode(modality, [])  # brings the encoder, which knows the options
    encoder = bundle.encoders[modality]
    kind, options, ids = kind_module(bundle.kinds[modality]), options_of(encoder.card), samples["sample_id"]
    parts: dict[Shown, list[tuple[Rows, Features]]] = {}
    for _, rows, items in raw_rows(modality, samples):
        for at in range(0, len(rows), PIECE):
            piece = rows[at : at + PIECE]
            named = dict(zip(ids.take(pa.array(piece)).to_pylist(), items[at : at + PIECE], strict=True))
            for shown, data in damaged(kind, named, levels, options, encoder.card.facts, seed, modality):
                parts.setdefault(shown, []).append((piece, bundle.encode(modality, data)))
    steps, width = encoder.shape
    whole = {shown: assembled(samples.num_rows, steps, width, part) for shown, part in parts.items()}
    return _felt(whole) if whole else {CLEAN: assembled(samples.num_rows, steps, width, [])}


def _felt(found: Mapping[Shown, Features]) -> Swept:
    """Without corruptions at no level of which any feature is another."""
    clean = found[CLEAN]
    felt = {
        name
        for (name, _), body in found.items()
        if not (np.array_equal(body.mask, clean.mask) and np.array_equal(body.tokens, clean.tokens))
    }
    return {shown: body for shown, body in found.items() if shown == CLEAN or shown[0] in felt}
