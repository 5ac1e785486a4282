"""The score against the value, with its interval."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import pyplot as plt

from tasks.evaluate.pictures import PLAIN, SELECTED, save
from tasks.vary.table import Row

WIDE = 4  # from which ratio of the largest value to the smallest on values stand on a logarithmic scale


def numbers(rows: Sequence[Row]) -> list[float] | None:
    """The values as numbers, None when one is none."""
    try:
        return [float(row.value) for row in rows]
    except ValueError:
        return None


def draw_curve(path: Path, param: str, rows: Sequence[Row]) -> None:
    """Draw the selected candidate's score with its interval, and the best single modality's, at each value.

    Below a value stands how many samples trained, where that differs. Folds are no amounts: they are not joined.

    Args:
        path: where to.
        param: what was varied.
        rows: a value each, all of them numbers.
    """
    ordered = sorted(rows, key=lambda row: float(row.value))
    at = [float(row.value) for row in ordered]
    joined = "" if param == "split.fold" else "-"
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    singles = [row.single_score.value for row in ordered if row.single_score]
    axes.plot(at, singles, f"s{joined}", color=PLAIN, markersize=4, linewidth=1, alpha=0.8, label="best single modality")
    scores = [row.score for row in ordered]
    ends = [[max(one.value - one.low, 0) for one in scores], [max(one.high - one.value, 0) for one in scores]]
    axes.errorbar(
        at,
        [one.value for one in scores],
        ends,
        fmt=f"o{joined}",
        color=SELECTED,
        markersize=6,
        linewidth=1.2,
        capsize=3,
        label="selected candidate",
    )
    for row, x in zip(ordered, at, strict=True):
        axes.annotate(f"{row.score.value:.3f}", (x, row.score.value), (8, -11), textcoords="offset points", fontsize=8)
    if at[0] > 0 and at[-1] >= WIDE * at[0]:
        axes.set_xscale("log")
    trained = len({row.train for row in ordered}) > 1
    axes.set_xticks(at, [f"{row.value}\n{row.train}" if trained else row.value for row in ordered])
    axes.minorticks_off()
    axes.set(xlabel=f"{param}{', and training samples' if trained else ''}", ylabel=ordered[0].metric.replace("_", " "))
    tests = {row.samples for row in ordered}
    if len(tests) == 1:
        axes.set_title(f"the same {tests.pop()} test samples", fontsize=9)
    axes.legend(loc="best", fontsize=8, frameon=False)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)
