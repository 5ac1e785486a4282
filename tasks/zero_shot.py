"""Classes that no model was fitted to, told by their descriptions: `zero_shot(Bundle.load(folder), raw, described)`.

It takes a bundle whose candidate is a fusion that was fitted with `train.align`: there a picture and a text that belong
together lie near each other, so that a class is told by the description which is nearest. The descriptions go through the
bundle's own encoder of their modality, one of ours or one from elsewhere.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tasks.bundle import Bundle
from tasks.errors import ContractBroken
from tasks.standard import softmax
from tasks.train.neural import Neural

Raw = Mapping[str, Sequence[bytes | None]]
Array = npt.NDArray[np.float64]


def zero_shot(bundle: Bundle, raw: Raw, described: Raw) -> Array:
    """How well each of k described classes fits each of n samples: probabilities float64 [n, k].

    Cosines in the shared space, times the factor that was learned, become a softmax, as in Radford et al., "Learning
    Transferable Visual Models From Natural Language Supervision", ICML 2021, §3.1. No class need ever have been seen.

    Args:
        bundle: the model.
        raw: modality -> n items, as in `Bundle.predict_raw`; a sample without any of them gets 1 / k.
        described: modality -> k items: {"text": [b"a red circle", b"a blue square"]}, or pictures, sounds …

    Raises:
        UnknownName: a modality that the bundle does not have.
        ContractBroken: the candidate is no fusion that was fitted with `train.align`; a class is not described by anything
            that can be decoded; or not as many items of each modality.
    """
    if not isinstance(bundle.candidate, Neural):
        raise ContractBroken(f"{bundle.candidate.card.name} is no fusion: its modalities share no space")
    samples, classes = _placed(bundle, bundle.candidate, raw), _placed(bundle, bundle.candidate, described)
    lost = np.flatnonzero(np.isnan(classes).any(axis=1)).tolist()
    if not len(classes) or lost:
        raise ContractBroken(f"zero_shot needs a description of each class; those that cannot be decoded or are absent: {lost}")
    near = np.nan_to_num(samples @ classes.T)  # without anything: as near to all
    return softmax(bundle.candidate.sharpness * near)


def _placed(bundle: Bundle, candidate: Neural, raw: Raw) -> Array:
    """Rows in the shared space, float64 [n, width] of length 1: the mean of a row's modalities; NaN where it has none."""
    features = bundle.domains.normalised({m: bundle.encode(m, items) for m, items in sorted(raw.items())})
    places = [candidate.placed(m, body) for m, body in features.items()]
    if len({len(place) for place in places}) != 1:
        lengths = {m: len(items) for m, items in sorted(raw.items())}
        raise ContractBroken(f"zero_shot needs as many items of each modality, of one at least, got {lengths}")
    there = np.isfinite(np.stack(places))  # [modalities, n, width]
    total = np.nan_to_num(np.stack(places)).sum(axis=0)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(np.where(there.any(axis=0), total / np.maximum(length, 1e-12), np.nan))
