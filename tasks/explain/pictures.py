"""An example as people see it, and the curves, whose bytes depend on the data alone."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from tasks.evaluate.pictures import PLAIN, SELECTED, save
from tasks.explain import kind_module
from tasks.explain.worth import Array, Opened

SIDE = 2.3  # inches
DPI = 100
LINES = {"largest": (SELECTED, "-"), "random": ("black", ":"), "smallest": (PLAIN, "--")}


def drawn(things: Sequence[Opened], kinds: Mapping[str, str], worth: Mapping[str, Array], number: bool) -> bytes:
    """One sample, its modalities side by side: PNG.

    The strongest part of each is darkest, but paler where the modality as a whole says less than another.
    """
    found = {opened.modality: opened.thing for opened in things}
    size = {m: float(np.abs(of).sum()) for m, of in worth.items()}
    most = max(size.values()) or 1.0
    how = {m: module for m, kind in sorted(kinds.items()) if (module := kind_module(kind))}
    figure, panels = plt.subplots(1, len(how), figsize=(SIDE * len(how), SIDE + 0.2), squeeze=False, layout="constrained")
    for axes, (m, module) in zip(panels[0], how.items(), strict=True):
        if m in found:
            module.draw(axes, found[m], worth[m] / (np.abs(worth[m]).max() or 1.0) * np.sqrt(size[m] / most))
            axes.set_title(f"{m}: {_share(float(worth[m].sum()), number)}", fontsize=8)
        else:
            axes.set_title(f"{m}: missing", fontsize=8)
            axes.axis("off")
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    return file.getvalue()


def _share(whole: float, number: bool) -> str:
    """What a modality does to the answer."""
    return f"{whole:+.3g}" if number else f"odds times {float(f'{np.exp(whole):.2g}'):g}"


def draw_curves(path: Path, found: Mapping[str, Any], measure: str) -> None:
    """Draw what answers lose as parts are hidden, a panel per modality."""
    modalities = found["modalities"]
    figure, panels = plt.subplots(
        1, len(modalities), figsize=(0.8 + 2.6 * len(modalities), 3.0), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (name, body) in zip(panels[0], sorted(modalities.items()), strict=True):
        for order, (colour, line) in LINES.items():
            axes.plot(found["share"], body["lost"][order], color=colour, linestyle=line, linewidth=1.8, label=order)
        axes.set(title=name, xlabel="share of the parts hidden", xlim=(0, 1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel(measure)
    panels[0][0].legend(fontsize=7, framealpha=0.7, title="first", title_fontsize=7)
    figure.suptitle(
        f"{found['selected']}: what {found['right'] + found['wrong']} answers lose as parts are hidden", fontsize=10
    )
    save(figure, path)
