"""One modality's features at every level of every corruption, by one encoder."""

from collections.abc import Sequence

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
    ways: list[Shown] = [CLEAN, *((name, level) for name in kind.CORRUPTIONS for level in levels)]
    parts: dict[Shown, list[Features]] = {way: [encoder.encode([])] for way in ways}
    for items in raw_samples(probe, modality):
        names = list(items)
        for at in range(0, len(names), PIECE):
            piece = {name: items[name] for name in names[at : at + PIECE]}
            for shown, data in damaged(kind, piece, levels, options, encoder.card.facts, seed, modality):
                parts[shown].append(encoder.encode(data, device))
        ids += names
        print(f"{modality}: {len(ids)} samples, damaged in {len(parts) - 1} ways", flush=True)
    return ids, {shown: joined(part) for shown, part in parts.items()}
