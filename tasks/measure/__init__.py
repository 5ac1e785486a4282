"""What depends on the machine: how long a bundle takes for one sample, how large it is, and what making it has cost.

Never in a stage's outs, which depend on nothing but deps and params: a task measures, the report and MLflow show it, and
no verdict leans on it. Beyond a limit that params.yaml names, the page warns.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from time import perf_counter
from typing import Any

from tasks.errors import NoData
from tasks.index import Batch, Partition, read_index
from tasks.paths import INDEX, RAW
from tasks.raw import read_partition

SAMPLES = 100
ROWS = {  # name on the page -> key of what is measured and of its limit below `gate`, what it is
    "latency, ms": ("latency_p95_ms", "95th percentile of the time for one raw sample, the first call left out"),
    "size, MB": ("size_mb", "of the bundle's files"),
    "GPU, h": ("gpu_hours", "that the night's stages of pool gpu took together; what was there already took none"),
}


def measure(
    bundle: Path, samples: Sequence[Mapping[str, bytes | None]], clock: Callable[[], float] = perf_counter
) -> dict[str, float | int]:
    """Time a bundle on one raw sample after another, as a caller would.

    Args:
        bundle: the bundle's folder.
        samples: per sample: modality -> bytes as in data/1_raw; modalities that the bundle does not use are left out.
        clock: a clock that never goes back, s.

    Returns:
        `samples`, `latency_p50_ms`, `latency_p95_ms`, `size_mb` (10^6 bytes).

    Raises:
        NoData: there are no samples.
    """
    if not samples:
        raise NoData("measure: no sample to time the bundle on")
    from tasks.bundle import Bundle

    loaded = Bundle.load(bundle)
    inputs = [{m: [sample.get(m)] for m in loaded.modalities} for sample in samples]
    loaded.predict_raw(inputs[0])  # the first call pays for imports and caches
    times_ms = []
    for one in inputs:
        began = clock()
        loaded.predict_raw(one)
        times_ms.append((clock() - began) * 1000)
    size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    return {
        "samples": len(samples),
        "latency_p50_ms": round(percentile(times_ms, 0.5), 3),
        "latency_p95_ms": round(percentile(times_ms, 0.95), 3),
        "size_mb": round(size / 1e6, 3),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed (nearest rank)."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def rows(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was measured, as rows that can stand below the gate's: they inform or warn, and never block."""
    return [_row(name, rule, measured[key], measured["limits"].get(key)) for name, (key, rule) in ROWS.items()]


def _row(name: str, rule: str, found: float, most: float | None) -> dict[str, Any]:
    verdict = "not applicable" if most is None else "pass" if found <= most else "fail"
    why = "no limit in params.yaml: informs" if most is None else f"at most {most:g} is asked for: warns, decides nothing"
    told = {"measured": found, "low": None, "high": None, "needed": most, "verdict": verdict}
    return {"name": name, "blocking": False, "rule": rule, **told, "reason": f"{found:g} on this machine; {why}"}


def sources(work: Path) -> dict[str, Partition]:
    """The partitions that `raw_samples` reads: one of each modality, of the newest batch that has any.

    Rows lie in the batch's order in all of them, so partitions that cover the same share of the way hold the same samples,
    nearly. Those with enough samples in common are taken, and of these the smallest.
    """
    spans = next(found for batch in reversed(read_index(work / INDEX)) if (found := _modalities(batch)))
    starts = sorted({span.start for found in spans.values() for span in found})
    choices = [
        {name: next(span for span in found if span.start <= start < span.end) for name, found in spans.items()}
        for start in starts
    ]
    best = min(choices, key=lambda choice: (-min(_common(choice), SAMPLES), sum(s.partition.rows for s in choice.values())))
    return {name: span.partition for name, span in best.items()}


def _modalities(batch: Batch) -> dict[str, list["Span"]]:
    return {name: _spans(found) for name, found in batch.partitions.items() if name not in {"samples", "events"} and found}


@dataclass(frozen=True)
class Span:
    """A partition, and from where to where it reaches in its batch: 0 is the first row, 1 the end."""

    start: float
    end: float
    partition: Partition


def _spans(found: Sequence[Partition]) -> list[Span]:
    ends = list(accumulate(partition.rows for partition in found))
    return [Span((end - p.rows) / ends[-1], end / ends[-1], p) for p, end in zip(found, ends, strict=True)]


def _common(choice: Mapping[str, Span]) -> float:
    """About how many samples lie in all of these."""
    overlap = min(span.end for span in choice.values()) - max(span.start for span in choice.values())
    return overlap * min(span.partition.rows / (span.end - span.start) for span in choice.values())


def raw_samples(work: Path, limit: int = SAMPLES) -> list[dict[str, bytes | None]]:
    """Raw samples of the newest batch: those with the most modalities, in the order of their ids.

    Args:
        work: a checkout in which the partitions of `sources` lie.
        limit: how many at most.
    """
    found: dict[str, dict[str, bytes | None]] = {}
    for modality, partition in sources(work).items():
        table = read_partition(partition, work / RAW)
        for sample, data in zip(table["sample_id"].to_pylist(), table["data"].to_pylist(), strict=True):
            found.setdefault(sample, {})[modality] = data
    fullest = sorted(found, key=lambda sample: (-len(found[sample]), sample))[:limit]
    return [found[sample] for sample in sorted(fullest)]
