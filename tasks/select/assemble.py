"""Put a candidate and the encoders that it uses into one folder, the bundle; tasks/bundle.py reads it."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from tasks.errors import NoData
from tasks.files import new_folder, write_json
from tasks.params import Params
from tasks.paths import ENCODERS

KEPT = ("candidate.json", "domains.json", "weights.safetensors")  # not scores.parquet: a bundle holds no samples
OWN = ("encoders", "features")  # of a candidate that was fitted end to end: the former have a place of their own in a bundle


def assemble(candidate: Path, card: dict[str, Any], params: Params, temperature: dict[str, float], bundle: Path) -> None:
    """Write the bundle: bundle.json, calibration.json, encoders/<m>/ for the candidate's modalities alone, fusion/.

    Raises:
        NoData: an encoder is absent.
    """
    modalities = {m: params.modalities[m] for m in card["modalities"]}
    with new_folder(bundle) as folder:
        for name in modalities:
            own = candidate / "encoders" / name
            encoder = own if own.is_dir() else ENCODERS / name
            if not encoder.is_dir():
                raise NoData(f"{encoder} is not here: `dvc pull`, or `dvc repro pretrain@{name}`")
            shutil.copytree(encoder, folder / "encoders" / name)
        shutil.copytree(candidate, folder / "fusion", ignore=_not_kept)
        described = {m: {"kind": body.kind, "options": dataclasses.asdict(body.options)} for m, body in modalities.items()}
        write_json(folder / "bundle.json", {"modalities": described, "targets": card["targets"], "candidate": card["name"]})
        write_json(folder / "calibration.json", {"temperature": temperature})


def _not_kept(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in OWN or ((Path(folder) / name).is_file() and name not in KEPT)}
