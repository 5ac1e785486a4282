"""What a model says when one of its modalities is damaged, or gone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bundle import Bundle
from tasks.damage import CLEAN, Shown
from tasks.damage.sweep import Swept
from tasks.features import Features
from tasks.paths import CANDIDATES, ENCODERS
from tasks.train.candidates import load_candidate
from tasks.train.domains import Domains
from tasks.train.inputs import domains_of, read_domain

LATE = "late"

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Answers float64 [n, width] for one target, of the same samples.

    Attributes:
        clean: as they landed.
        gone: by the modality that is taken away.
        shown: by the modality that is damaged, then by how.
    """

    clean: Array
    gone: Mapping[str, Array]
    shown: Mapping[str, Mapping[Shown, Array]]


def answers(bundle: Bundle, features: Mapping[str, Swept], samples: pa.Table, target: str) -> Answers:
    """Ask a model: every other modality is as it landed.

    Args:
        bundle: the model.
        features: of its modalities.
        samples: rows of the manifest.
        target: that is judged.
    """
    clean = {m: found[CLEAN] for m, found in features.items()}
    domain = domains_of(samples) if bundle.domains.column and bundle.domains.column == read_domain() else None

    def ask(modality: str, body: Features) -> Array:
        return bundle.predict({**clean, modality: body}, domain)[target]

    shown = {m: {how: ask(m, body) for how, body in found.items() if how != CLEAN} for m, found in features.items()}
    return Answers(bundle.predict(clean, domain)[target], {m: ask(m, _gone(body)) for m, body in clean.items()}, shown)


def baseline(bundle: Bundle) -> Bundle | None:
    """Tonight's late fusion, beside tonight's encoders as a bundle would hold it.

    None where the model is late fusion itself, or has not all the modalities.
    """
    folder = CANDIDATES / "plain" / LATE
    candidate = load_candidate(folder)
    if bundle.candidate.card.name == LATE or tuple(sorted(candidate.card.modalities)) != bundle.modalities:
        return None
    return Bundle(ENCODERS.parent, bundle.kinds, candidate.card.outputs, candidate, Domains.load(folder, candidate.card))


def _gone(features: Features) -> Features:
    return Features(features.tokens, np.zeros_like(features.mask), features.time)
