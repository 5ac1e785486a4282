"""One modality's features at every level of every corruption, by one encoder."""

from collections.abc import Sequence

import numpy as np

from tasks.damage import CLEAN, Shown, damaged, kind_module
from tasks.damage.probe import Probe, raw_samples
from tasks.extract import Loaded, options_of
from tasks.features import Features, joined

PIECE = 64  # samples that are held at once, opened

Swept = dict[Shown, Features]


def swept(
    encoder: Loaded, modality: str, probe: Probe, levels: Sequence[float], seed: int, device: str = "cpu"
) -> tuple[list[str], Swept]:
    """The ids of the probe's samples that have the modality, and their features, as they landed (`CLEAN`) and damaged.

    A corruption that changes nothing in any of them (a category that a table does not have, the only word of a text) is left
    out.

    Args:
        encoder: that is asked.
        modality: its name.
        probe: which samples.
        levels: above 0, rising.
        seed: of the run.
        device: where the encoder runs.

    Raises:
        NoData: a raw partition is absent.
        ContractBroken: it is not the one that was ingested.
    """
    kind, options = kind_module(encoder.card.kind), options_of(encoder.card)
    ids: list[str] = []
    parts: dict[Shown, list[Features]] = {CLEAN: [encoder.encode([])]}
    for items in raw_samples(probe, modality):
        names = list(items)
        for at in range(0, len(names), PIECE):
            piece = {name: items[name] for name in names[at : at + PIECE]}
            for shown, data in damaged(kind, piece, levels, options, encoder.card.facts, seed, modality):
                parts.setdefault(shown, []).append(encoder.encode(data, device))
        ids += names
        print(f"{modality}: {len(ids)} samples, damaged in {len(parts) - 1} ways", flush=True)
    return ids, _felt({shown: joined(part) for shown, part in parts.items()})


def _felt(found: Swept) -> Swept:
    """Without corruptions at no level of which any feature is another."""
    clean = found[CLEAN]
    felt = {
        name
        for (name, _), body in found.items()
        if not (np.array_equal(body.mask, clean.mask) and np.array_equal(body.tokens, clean.tokens))
    }
    return {shown: body for shown, body in found.items() if shown == CLEAN or shown[0] in felt}
