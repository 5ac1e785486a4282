"""Time a run's bundle on this machine, outside the stages."""

from contextlib import chdir
from typing import Any

from tasks import params as parameters
from tasks.measure import measure, raw_samples, sources
from tasks.paths import BUNDLE, RAW
from tasks.run import lock
from tasks.run.admit import bring
from tasks.run.settings import Settings
from tasks.run.workspace import workspace
from tasks.steady import steady


def measured(s: Settings, commit: str, entries: lock.Fragments) -> dict[str, Any]:
    """Bring the bundle and some raw samples, and measure (see `tasks.measure.measure`).

    Args:
        s: where central, remote and cache are.
        commit: the run's commit.
        entries: what the stages locked.
    """
    with workspace(s, commit, "measure") as folder, chdir(folder):
        raw = [str(RAW / partition.path) for partition in sources(folder).values()]
        bring(folder, entries, [str(BUNDLE), *raw])
        with steady(parameters.load().threads):  # as the stages: on all cores a small model spends its time waiting
            return dict(measure(folder / BUNDLE, raw_samples(folder)))
