"""A version's live score as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no display is needed
from matplotlib import pyplot as plt

mpl.rcParams["text.parse_math"] = False  # names are the user's: between two $ stands no formula
DPI = 110
LIVE, PROMISED = "#b5442e", "#4a6378"
MOST = 60  # points that are drawn, the newest


def draw_live(path: Path, version: str, target: str, found: Mapping[str, Any], promised: Mapping[str, float]) -> None:
    """Draw the score per batch, and what was measured on the test set before.

    Args:
        path: the PNG to write.
        version: its name.
        target: what is predicted.
        found: from `live.curve`.
        promised: `value`, `low` and `high`, of the test set; empty when that is not known.
    """
    points = [(name, body) for name, body in found["batches"].items() if body["value"] is not None][-MOST:]
    figure, axes = plt.subplots(figsize=(max(4.6, 1.5 + 0.35 * len(points)), 3.6), layout="constrained")
    if promised:
        axes.axhspan(promised["low"], promised["high"], color=PROMISED, alpha=0.15, linewidth=0)
        axes.axhline(promised["value"], color=PROMISED, linewidth=1, label="test set, when it was promoted")
    for place, (_, body) in enumerate(points):
        if body["low"] is not None:
            axes.plot([place, place], [body["low"], body["high"]], color=LIVE, linewidth=1)
    axes.plot(range(len(points)), [body["value"] for _, body in points], "o-", color=LIVE, markersize=4, label="live")
    axes.set_xticks(range(len(points)), [name.rpartition("-")[0] for name, _ in points], rotation=45, ha="right")
    axes.set(ylabel=found["metric"], title=f"{version}: {target}, {found['all']['samples']} late labels")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})  # else the bytes hold matplotlib's version
    plt.close(figure)
