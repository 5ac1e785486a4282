"""Time a run's bundle on this machine, outside the stages, and count what its stages took."""

from collections.abc import Mapping
from contextlib import chdir
from typing import Any

from tasks import params as parameters
from tasks.measure import ROWS, measure, raw_samples, sources
from tasks.paths import BUNDLE, RAW
from tasks.run import graph, lock
from tasks.run.admit import bring
from tasks.run.settings import Settings
from tasks.run.workspace import workspace
from tasks.steady import steady


def measured(s: Settings, commit: str, entries: lock.Fragments, spent_s: Mapping[str, float]) -> dict[str, Any]:
    """Bring the bundle and some raw samples, and measure (see `tasks.measure.measure`), beside the limits of params.yaml.

    Args:
        s: where central, remote and cache are.
        commit: the run's commit.
        entries: what the stages locked.
        spent_s: stage -> seconds that it ran.
    """
    with workspace(s, commit, "measure") as folder, chdir(folder):
        raw = [str(RAW / partition.path) for partition in sources(folder).values()]
        bring(folder, entries, [str(BUNDLE), *raw])
        params = parameters.load()
        with steady(params.threads):  # as the stages: on all cores a small model spends its time waiting
            found = measure(folder / BUNDLE, raw_samples(folder))
        limits = {key: most for key, _ in ROWS.values() if (most := getattr(params.gate, key)) is not None}
        on_gpu = {stage.name for stage in graph.stages(folder) if stage.airflow.get("pool") == "gpu"}
        hours = sum(seconds for name, seconds in spent_s.items() if name in on_gpu) / 3600
        return {**found, "gpu_hours": round(hours, 4), "limits": limits}
