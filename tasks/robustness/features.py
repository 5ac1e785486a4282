"""Features of the probe's samples, damaged: those that `damage` made, or by an encoder of the bundle's own.

A corruption that changes nothing in any of them (a category that a table does not have, the only word of a text) is left out.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tasks.damage import CLEAN, Shown, kind_module, path_of
from tasks.damage.probe import read_probe
from tasks.damage.sweep import Swept, swept
from tasks.errors import ContractBroken
from tasks.extract import load_encoder
from tasks.features import Features, read_features, read_sample_ids
from tasks.params import Params
from tasks.paths import BUNDLE
from tasks.train.inputs import assembled, chosen


def by_tonights(modality: str, kind: str, samples: pa.Table, levels: Sequence[float]) -> Swept:
    """Features of these samples by tonight's encoder, row by row, as they landed (`CLEAN`) and under each corruption.

    Args:
        modality: its name.
        kind: of it.
        samples: rows of the manifest.
        levels: above 0, rising.

    Raises:
        NoData: they are absent.
        ContractBroken: they are of other samples.
    """
    ways: list[Shown] = [CLEAN, *((name, level) for name in kind_module(kind).CORRUPTIONS for level in levels)]
    found = {way: _read(modality, way) for way in ways}
    return _felt({way: _aligned(modality, samples, ids, body) for way, (ids, body) in found.items()})


def by_its_own(modality: str, samples: pa.Table, params: Params) -> tuple[Swept, int]:
    """The same by the bundle's encoder, and how many raw rows were encoded for it."""
    encoder = load_encoder(BUNDLE / "encoders" / modality)
    ids, found = swept(encoder, modality, read_probe(), params.robustness.levels, params.seed)
    return _felt({way: _aligned(modality, samples, ids, body) for way, body in found.items()}), len(ids) * len(found)


def _read(modality: str, way: Shown) -> tuple[list[str], Features]:
    path = path_of(modality, way)
    return read_sample_ids(path), read_features(path)


def _aligned(modality: str, samples: pa.Table, ids: Sequence[str], features: Features) -> Features:
    """Rows in the samples' order; the mask is off where one has not the modality."""
    rows = {name: row for row, name in enumerate(ids)}
    having = [(to, name) for to, name in enumerate(samples["sample_id"].to_pylist()) if samples[f"has_{modality}"][to].as_py()]
    if lost := sorted(name for _, name in having if name not in rows):
        raise ContractBroken(
            f"nothing of {modality} was damaged of {len(lost)} samples of the probe, e.g. {lost[0]!r}: `dvc repro -f probe`,"
            f" then `dvc repro damage@{modality}`"
        )
    to, there = (np.array(of, np.int64) for of in ([to for to, _ in having], [rows[name] for _, name in having]))
    steps, width = features.tokens.shape[1:]
    return assembled(samples.num_rows, steps, width, [(to, chosen(features, there))])


def _felt(found: Swept) -> Swept:
    """Without corruptions at no level of which any feature is another."""
    clean = found[CLEAN]
    felt = {
        name
        for (name, _), body in found.items()
        if not (np.array_equal(body.mask, clean.mask) and np.array_equal(body.tokens, clean.tokens))
    }
    return {shown: body for shown, body in found.items() if shown == CLEAN or shown[0] in felt}
