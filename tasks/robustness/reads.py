"""Say which raw partitions `tasks.robustness` will read, as a JSON list: `python -m tasks.robustness.reads`.

None where the bundle has tonight's encoders: `damage` has made what is needed. Those of the probe, of each other modality.
"""

import argparse
import json
from collections.abc import Sequence

from tasks.damage.reads import read_by
from tasks.files import folder_digest, read_json
from tasks.params import load
from tasks.paths import BUNDLE, ENCODERS
from tasks.stage import enter


def reads() -> None:
    """Print the paths.

    Raises:
        NoData: the bundle or the probe is absent.
    """
    modalities = sorted(read_json(BUNDLE / "bundle.json")["modalities"])  # loading the bundle takes a second of imports
    print(json.dumps(read_by(with_other_encoders(modalities)) if load().robustness.samples else []))


def with_other_encoders(modalities: Sequence[str]) -> list[str]:
    """Those modalities whose encoder in the bundle is not tonight's: it was fitted end to end."""
    return [m for m in modalities if folder_digest(BUNDLE / "encoders" / m) != folder_digest(ENCODERS / m)]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(reads)
