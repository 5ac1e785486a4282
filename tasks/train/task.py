"""What every candidate of a run shares."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.params import Train
from tasks.ranks import ALONE, Ranks
from tasks.targets import Output, Target


@dataclass(frozen=True)
class Task:
    """What every candidate of a run shares.

    Attributes:
        outputs: target -> what is answered for it.
        targets: the same targets' losses and weights.
        train: the knobs.
        seed: of the run; what is drawn is keyed by purpose and name.
        device: where it is computed.
        ranks: who fit it together.
        earned: early stopping counts epochs once the validation loss was below this.
    """

    outputs: Mapping[str, Output]
    targets: Mapping[str, Target]
    train: Train
    seed: int
    device: str
    ranks: Ranks = ALONE
    earned: float = math.inf
