"""Where the files lie that stages hand to each other, relative to the repository's root.

data/1_raw.json                 the index, in git: batch -> partitions (path, rows, md5)
data/reference.json             the same for the batches that encoders are fitted on
data/1_raw/samples/*.parquet    one row per landed row
data/1_raw/events/*.parquet     one row per landed event: what became known of samples afterwards
data/1_raw/<m>/*.parquet        one row per sample that has modality m
data/2_profiles/<m>/            a <partition>.parquet per raw partition, a row per raw row; its metadata: raw (md5)
data/3_manifest/                samples.parquet (accepted), quarantine.parquet, manifest.json, validation.json
data/3_probe.json               the test samples whose raw inputs are damaged; see tasks/probe/__init__.py
data/4_features/<m>/            a <partition>.safetensors per raw partition; its metadata: raw (md5), sample_id
data/4_damaged/<m>/             the same of the probe's samples, a <corruption>-<level>.safetensors per way to damage them
data/5_models/encoders/<m>/     weights.safetensors, encoder.json
data/5_models/candidates/<c>/   weights.safetensors, candidate.json, scores.parquet (validation samples); of finetune-<fusion>
                                also encoders/<m>/, and features/<m>/ of validation and test samples by these
data/5_models/bundle/           see tasks/bundle.py
data/6_reports/                 JSON, Parquet and pictures
"""

from collections.abc import Iterable
from pathlib import Path

INDEX = Path("data/1_raw.json")
REFERENCE = Path("data/reference.json")
RAW = Path("data/1_raw")
PROFILES = Path("data/2_profiles")
MANIFEST = Path("data/3_manifest")
PROBE = Path("data/3_probe.json")
FEATURES = Path("data/4_features")
DAMAGED = Path("data/4_damaged")
ENCODERS = Path("data/5_models/encoders")
CANDIDATES = Path("data/5_models/candidates")
BUNDLE = Path("data/5_models/bundle")
CHAMPION = Path("data/champion")
ANCHOR = Path("data/anchor")
START = Path("data/start")  # the bundle whose encoders new ones start from, or empty
REPORTS = Path("data/6_reports")
MEMO = Path(".memo")  # results of raw partitions, and checkpoints, that a runner brought; neither git's nor DVC's
CHECKPOINTS = MEMO / "checkpoint"


def candidate_folders(modalities: Iterable[str], fusions: Iterable[str], finetune: Iterable[str]) -> dict[str, Path]:
    """Name -> folder of every candidate of a night: those that are always there, then what params.yaml names.

    Args:
        modalities: names.
        fusions: those that are fitted on frozen features.
        finetune: those that are fitted end to end.
    """
    plain = [*(f"alone-{m}" for m in modalities), "late", "logistic"]
    fused = [*fusions, *map(finetuned, finetune)]
    return {name: CANDIDATES / "plain" / name for name in plain} | {name: CANDIDATES / name for name in fused}


def finetuned(fusion: str) -> str:
    """The name of the candidate that is a fusion fitted end to end."""
    return f"finetune-{fusion}"
