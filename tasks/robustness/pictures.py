"""The curves, a panel per modality, whose bytes depend on the report alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from tasks.evaluate.pictures import PLAIN, SELECTED, save

COLUMNS = 2  # more would be small on the page
LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
COLOURS = (SELECTED, PLAIN, "#7a9a3f", "#8d6cab", "#c29a2d")


def draw_curves(path: Path, found: Mapping[str, Any]) -> None:
    """Draw the score over the level of each corruption, and a line where it would be without the modality."""
    modalities, metric = found["modalities"], found["metric"].replace("_", " ")
    rows = -(-len(modalities) // COLUMNS)
    columns = min(COLUMNS, len(modalities))
    figure, panels = plt.subplots(
        rows,
        columns,
        figsize=(0.8 + 3.4 * columns, 0.9 + 3.1 * rows),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (name, body) in zip(panels.flat, sorted(modalities.items()), strict=False):
        for place, (corruption, told) in enumerate(sorted(body["corruptions"].items())):
            style = {"color": COLOURS[place % len(COLOURS)], "linestyle": LINES[place % len(LINES)]}
            axes.plot(found["levels"], told["scores"], label=corruption, linewidth=1.8, **style)
        axes.axhline(body["gone"], color="black", linewidth=0.9, label=f"without {name}")
        axes.axvline(found["moderate"], color="black", linewidth=0.5, alpha=0.4)
        axes.set(title=name, xlabel="level of damage", xlim=(0, 1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, framealpha=0.7)
    for axes in panels.flat[len(modalities) :]:
        axes.set_visible(False)
    for line in panels:
        line[0].set_ylabel(metric)
    figure.suptitle(f"{found['selected']}, one modality damaged: {found['samples']} test samples", fontsize=10)
    save(figure, path)
