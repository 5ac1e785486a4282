"""A plausible night, as the stages would have written it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.files import write_json
from tasks.tables import write_parquet


def interval(value: float, half: float = 0.02) -> dict[str, float]:
    return {"value": value, "low": round(value - half, 3), "high": round(value + half, 3)}


def candidate(value: float, parameters: int) -> dict[str, Any]:
    return {"accuracy": interval(value), "macro_f1": interval(value - 0.01), "parameters": parameters}


def row(name: str, verdict: str, reason: str, measured: float | None = None, blocking: bool = True, needed: float = 0.0) -> Any:
    bounds = {"measured": None, "low": None, "high": None, "needed": None}
    if measured is not None:
        bounds = {"measured": measured, "low": measured - 0.01, "high": measured + 0.01, "needed": needed}
    return {"name": name, "blocking": blocking, "rule": f"the rule of {name}", "verdict": verdict, "reason": reason, **bounds}


def corruption(half: float, full: float) -> dict[str, Any]:
    """A curve from 0.91; a modality's absence leaves 0.62."""
    area = round((0.91 + 2 * half + full) / 4, 4)
    over = interval(half - 0.62, 0.05)
    lost = [interval(round(0.91 - left, 3)) for left in (half, full)]
    return {
        "scores": [0.91, half, full],
        "lost": lost,
        "relative": interval(area),
        "effective": interval(-0.05),
        "over_gone": over,
    }


def explained(folder: Path, picture: bytes) -> None:
    """A right and a wrong answer."""
    curve = [0.0, 0.4, 0.9]
    lost = {"largest": curve, "random": curve, "smallest": curve}
    area = {"largest": 0.61, "random": 0.33, "smallest": 0.12}
    audio = {"examples": 2, "itself": 0.87, "randomised": -0.04, "lost": lost, "area": area}
    found = {"selected": "mean", "right": 1, "wrong": 1, "share": [0.0, 0.5, 1.0], "modalities": {"audio": audio}}
    write_json(folder / "explain.json", found)
    columns = {"sample_id": ["s1", "<i>s2</i>"], "right": [True, False], "truth": ["cat", "dog"], "says": ["cat", "cat"]}
    write_parquet(folder / "examples.parquet", pa.table({**columns, "sure": [0.99, 0.81], "picture": [picture] * 2}))


CLUSTERS = {
    "metric": "accuracy",
    "whole": 0.884,
    "silhouette": 0.412,
    "unclear": False,
    "apart": 0.42,
    "parts": [
        {"samples": 60, "groups": 58, "score": interval(0.55, 0.1), "below": True, "truth": "cat", "says": "dog"},
        {"samples": 338, "groups": 336, "score": interval(0.97), "below": False, "truth": "dog", "says": "dog"},
        {"samples": 2, "groups": 1, "score": None, "below": False, "truth": "elk", "says": "cat"},
    ],
}


def wrong(sample: str, truth: str) -> list[dict[str, Any]]:
    """A wrong answer, and the train samples beside it."""
    told = {"sample_id": sample, "truth": truth, "says": "dog", "sure": 0.973}
    return [{**told, "neighbour": f"<i>l{k}</i>", "distance": k / 8, "label": "dog", "rank": k} for k in (1, 2, 3)]


@pytest.fixture
def night(tmp_path: Path) -> dict[str, Any]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(4, 3))
    axes.plot([0, 1], [0, 1])
    figure.savefig(tmp_path / "confusion.png")
    plt.close(figure)
    explained(tmp_path / "explain", (tmp_path / "confusion.png").read_bytes())
    columns = {"sample_id": ["s7", "<b>s8</b>"], "batch": ["night-2"] * 2, "row": [7, 8], "modality": ["image", ""]}
    write_parquet(tmp_path / "quarantine.parquet", pa.table({**columns, "reason": ["truncated PNG", "=HYPERLINK(1)"]}))
    rows = [row for number in range(10) for row in wrong(f"<b>t{number}</b>", "cat")]
    write_parquet(tmp_path / "neighbours.parquet", pa.Table.from_pylist(rows))
    values = {"mean": 0.884, "concat": 0.881, "alone-image": 0.63, "alone-audio": 0.665, "alone-text": 0.71, "late": 0.877}
    scored = {name: candidate(value, 1234 * i) for i, (name, value) in enumerate(values.items())}
    complete = {"samples": 310, "groups": 310, "candidates": {name: candidate(v + 0.03, 0) for name, v in values.items()}}
    return {
        "run": "scheduled__2026-11-02T02:00:00+00:00",
        "commit": "0123456789abcdef" * 2 + "01234567",
        "outcome": "judged",
        "verdict": {
            "verdict": "promote",
            "decided_by": "champion",
            "champion": {"number": 1, "version": "v1.0.0"},
            "rows": [
                row("champion", "pass", "0.4 points better than v1.0.0 (-0.6 … 1.4), needed -2.0", 0.004, needed=-0.02),
                row("floor_over_prior", "pass", "78 points above the commonest class", 0.78, needed=0.05),
                row("floor_over_single", "not applicable", "gate.floor_over_single is not set"),
                row("small_test", "fail", "only 400 test samples", 400.0, blocking=False, needed=500),
            ],
        },
        "scores": {
            "target": "label",
            "metric": "accuracy",
            "selected": "mean",
            "samples": 400,
            "groups": 400,
            "candidates": scored,
            "clusters": CLUSTERS,
            "shares": {
                "nothing": 0.1,
                "whole": 0.884,
                "samples": 400,
                "modalities": {
                    name: {"share": interval(share), "lost": interval(share / 2), "right": 100 + at, "wrong": at}
                    for at, (name, share) in enumerate({"audio": 0.2, "image": 0.18, "text": 0.404}.items())
                },
            },
            "complete": {**complete, "gain_over_best_single": {**interval(0.174), "single": "alone-text"}},
        },
        "robustness": {
            "metric": "accuracy",
            "selected": "mean",
            "samples": 100,
            "groups": 98,
            "levels": [0.0, 0.5, 1.0],
            "moderate": 0.5,
            "whole": 0.91,
            "modalities": {
                "audio": {"gone": 0.62, "corruptions": {"noise": corruption(0.41, 0.22), "clipping": corruption(0.6, 0.7)}},
                "image": {"gone": 0.71, "corruptions": {"blur": {**corruption(0.75, 0.5), "effective": None}}},
            },
        },
        "validation": {
            "success": True,
            "expectations": [
                {"name": name, "table": "samples", "severity": severity, "success": ok, "observed": 0.31, "expected": "<= 0.3"}
                | {"reason": "the loudness moved"}
                for name, severity, ok in (("ids are unique", "critical", True), ("drift of loudness", "warning", False))
            ],
        },
        "manifest": {
            "samples": 1998,
            "quarantined": 2,
            "splits": {"train": 1300, "val": 298, "test": 400, "": 0},
            "batches": [
                {"key": "night-1-0a", "name": "night-1", "rows": 1000, "accepted": 1000, "quarantined": 0},
                {"key": "night-2-0b", "name": "night-2", "rows": 1000, "accepted": 998, "quarantined": 2},
            ],
            "new": ["night-2-0b"],
        },
        "quarantine": tmp_path / "quarantine.parquet",
        "explained": tmp_path / "explain",
        "neighbours": tmp_path / "neighbours.parquet",
        "pictures": [tmp_path / "confusion.png"],
        "measured": {
            "samples": 100,
            "latency_p50_ms": 3.1,
            "latency_p95_ms": 5.2,
            "size_mb": 1.25,
            "gpu_hours": 0.1,
            "limits": {},
        },
        "links": {"Data Docs": str(tmp_path / "page" / "data_docs" / "index.html"), "Airflow": "http://127.0.0.1:8080/dags"},
    }
