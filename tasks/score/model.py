"""A version that predicts batches, and what a batch must bring to it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tasks.bundle import Bundle
from tasks.ingest.erased import Erased
from tasks.params import Ingest, Params, check
from tasks.score.reference import Reference


@dataclass(frozen=True)
class Model:
    """A version that predicts.

    Attributes:
        version: its name.
        bundle: the model.
        params: its modalities and no target; see `contract`.
        reference: what it was trained on; None: it is not there any more.
        least: smallest drift that is told.
        about: what tables say of their version (see tasks/score/live.py).
    """

    version: str
    bundle: Bundle
    params: Params
    reference: Reference | None = None
    least: float = 0.1
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Gone:
    """Samples that nothing is said of."""

    erased: Erased = field(default_factory=Erased)
    withdrawn: frozenset[str] = frozenset()


def contract(modalities: Mapping[str, Any], ingest: Ingest) -> Params:
    """What a batch for a bundle must bring, as parameters: the bundle's modalities, today's limits, and no target.

    Args:
        modalities: of bundle.json.
        ingest: of params.yaml.
    """
    said = {name: {"kind": body["kind"], **body["options"]} for name, body in modalities.items()}
    whole = check({"modalities": said, "targets": {"any": {}}, "ingest": asdict(ingest)})
    return Params(whole.modalities, {}, ingest=whole.ingest)
