"""`train.slowing` and `train.alone` (tasks/train/pace.py): where one modality starves another, and where none does."""

from functools import partial
from typing import Any

from tests.bench.helps import HARMLESS, HELPS, Case
from tests.train.unequal import unequal

SETTINGS: dict[str, dict[str, Any]] = {
    "off": {},
    "slowing": {"slowing": 0.5},
    "alone": {"alone": {"slow": 1.0}},
}
FUSIONS = ("attention", "concat")


def _score(setting: str, seed: int, fusion: str, bold: bool) -> float:
    return unequal(SETTINGS[setting], seed, fusion, bold)


def _case(fusion: str, bold: bool, bar: float) -> Case:
    return Case(partial(_score, fusion=fusion, bold=bold), "off", ("slowing", "alone"), bar)


CASES = {f"starved_{fusion}": _case(fusion, True, HELPS) for fusion in FUSIONS}
CASES |= {f"fair_{fusion}": _case(fusion, False, HARMLESS) for fusion in FUSIONS}
