"""`train.domains` (tasks/train/domains.py, coral.py): two sites, labels from one of them alone; see tests/train/sites.py."""

from functools import partial

from tests.bench.helps import HARMLESS, HELPS, Case
from tests.train.sites import sites


def _case(case: str, fusion: str, settings: tuple[str, ...], bar: float) -> Case:
    return Case(partial(sites, case=case, fusion=fusion), "none", settings, bar)


FUSIONS = ("concat", "mean")
CASES = {f"shifted_{fusion}": _case("shifted", fusion, ("normalise", "coral"), HELPS) for fusion in FUSIONS}
CASES |= {f"turned_{fusion}": _case("turned", fusion, ("coral",), HELPS) for fusion in FUSIONS}
CASES |= {f"same_{fusion}": _case("same", fusion, ("normalise", "coral"), HARMLESS) for fusion in FUSIONS}
