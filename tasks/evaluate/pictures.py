"""Pictures whose bytes depend on the scores alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

mpl.use("Agg")  # no display is needed
from matplotlib import pyplot as plt

mpl.rcParams["text.parse_math"] = False  # names are the user's: between two $ stands no formula
DPI = 110
SELECTED, PLAIN = "#b5442e", "#4a6378"
WRITTEN = 20  # a confusion matrix of more classes shows colours only


def draw_confusion(path: Path, truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: Sequence[str]) -> None:
    """Draw the confusion matrix: colour = share of the true class, number = samples."""
    size = len(classes)
    counts = np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.45 * min(size, 30)
    figure, axes = plt.subplots(figsize=(side + 0.8, side), layout="constrained")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set(xlabel="predicted", ylabel="true", title=f"test set, {len(truth)} samples")
    axes.set_xticks(range(size), classes, rotation=45 if max(map(len, classes)) > 3 else 0, ha="center")
    axes.set_yticks(range(size), classes)
    for row, column in np.argwhere(counts > 0) if size <= WRITTEN else ():
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    save(figure, path)


def draw_labels(path: Path, truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: Sequence[str]) -> None:
    """Draw F1 of each of several labels, and in how many samples it is true."""
    hits, seen = (truth * predicted).sum(axis=0), (truth + predicted).sum(axis=0)
    names = [f"{name} ({count})" for name, count in zip(classes, truth.sum(axis=0), strict=True)]
    figure, axes = plt.subplots(figsize=(4.6, 1.2 + 0.3 * len(names)), layout="constrained")
    axes.barh(range(len(names)), 2 * hits / np.maximum(seen, 1), color=SELECTED, alpha=0.7)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="F1", xlim=(0, 1), title=f"test set, {len(truth)} samples")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    save(figure, path)


def draw_values(path: Path, target: str, truth: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64]) -> None:
    """Draw predicted against true values, in the target's unit; on the line an answer is right."""
    ends = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
    figure, axes = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
    axes.plot(ends, ends, color="black", linewidth=0.8)
    axes.scatter(truth, predicted, s=9, color=SELECTED, alpha=0.5, linewidths=0)
    axes.set(xlabel="true", ylabel="predicted", title=f"{target}: test set, {len(truth)} samples", aspect="equal")
    axes.grid(alpha=0.3)
    save(figure, path)


def draw_scores(path: Path, scores: Mapping[str, Any], selected: str, metric: str) -> None:
    """Draw every candidate's score with its interval, best on top, on all samples and on complete cases; gain below."""
    tables = {"all samples": scores}
    if scores["complete"]["candidates"]:
        tables["complete cases"] = scores["complete"]
    names = sorted(scores["candidates"], key=lambda name: (scores["candidates"][name][metric]["value"], name))
    figure, panels = plt.subplots(
        1,
        len(tables),
        figsize=(4.6 * len(tables), 1.4 + 0.36 * len(names)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (title, table) in zip(panels[0], tables.items(), strict=True):
        _dots(axes, names, table["candidates"], selected, metric)
        axes.set(title=f"{title}: {table['samples']} ({table['groups']} groups)", xlabel=metric.replace("_", " "))
    gain = scores["complete"]["gain_over_best_single"]
    if gain:
        text = (
            f"{selected} over {gain['single']}, complete cases: {gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
        )
        figure.supxlabel(text, fontsize=9)
    save(figure, path)


def draw_shares(path: Path, shares: Mapping[str, Any], selected: str, metric: str) -> None:
    """Draw from the score without any modality to that with all, a step per modality, the largest first, with its interval."""
    rows = sorted(shares["modalities"].items(), key=lambda row: (-row[1]["share"]["value"], row[0]))
    figure, axes = plt.subplots(figsize=(6.4, 1.5 + 0.36 * len(rows)), layout="constrained")
    at = shares["nothing"]
    for place, (_, row) in enumerate(rows, start=1):
        share = row["share"]
        axes.barh(place, share["value"], left=at, color=SELECTED, alpha=0.7, height=0.6)
        axes.hlines(place, at + share["low"], at + share["high"], color="black", linewidth=0.9)
        axes.annotate(
            f"{share['value']:+.3f}", (max(at, at + share["high"]), place), (4, -3), textcoords="offset points", fontsize=8
        )
        at += share["value"]
    for place, value in ((0, shares["nothing"]), (len(rows) + 1, shares["whole"])):
        axes.plot(value, place, "o", color=PLAIN)
        axes.annotate(f"{value:.3f}", (value, place), (6, -3), textcoords="offset points", fontsize=8)
    axes.set_yticks(range(len(rows) + 2), ["none of them", *(name for name, _ in rows), "all of them"])
    title = f"what each modality adds: {selected}, {shares['samples']} test samples"
    axes.set(xlabel=metric.replace("_", " "), title=title)
    axes.invert_yaxis()
    axes.use_sticky_edges = False  # bars would cut the first dot off
    axes.margins(x=0.12)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def draw_reliability(path: Path, found: Mapping[str, Any], selected: str) -> None:
    """Draw how often answers are right against how sure they are, with and without the temperature; on the line both agree."""
    figure, axes = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    before, bins = found["before"]["bins"], found["bins"]
    if found["temperature"] != 1.0:
        axes.plot([b["sure"] for b in before], [b["right"] for b in before], "o--", color=PLAIN, markersize=4, alpha=0.7)
    ends = [[max(b["right"] - b["low"], 0) for b in bins], [max(b["high"] - b["right"], 0) for b in bins]]
    axes.errorbar(
        [b["sure"] for b in bins], [b["right"] for b in bins], ends, fmt="o-", color=SELECTED, markersize=5, linewidth=1
    )
    lines = [f"{selected}: off by {found['error']:.3f}"]
    if found["temperature"] != 1.0:
        lines.append(f"dashed: without the temperature of {found['temperature']:.2f}, off by {found['before']['error']:.3f}")
    axes.set(xlabel="how sure the answers of a bin are", ylabel="share of them that is right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title("\n".join(lines), fontsize=9)
    axes.grid(alpha=0.3)
    save(figure, path)


def _dots(axes: Any, names: Sequence[str], rows: Mapping[str, Any], selected: str, metric: str) -> None:
    for place, name in enumerate(names):
        row, colour = rows[name][metric], SELECTED if name == selected else PLAIN
        axes.hlines(place, row["low"], row["high"], color=colour, linewidth=2.5, alpha=0.6)
        axes.plot(row["value"], place, "o", color=colour)
        axes.annotate(f"{row['value']:.3f}", (row["value"], place), (0, 5), textcoords="offset points", ha="center", fontsize=7)
    axes.set_yticks(range(len(names)), [f"{name} (selected)" if name == selected else name for name in names])
    axes.set_ylim(-0.6, len(names) - 0.3)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Any, path: Path) -> None:
    """Write a picture, and let go of it."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None})  # else the bytes hold matplotlib's version
    plt.close(figure)
