"""Does memory stay flat? `python -m tests.bench.memory memory.png` (about five minutes, 2 GB below the temporary folder).

Plants 20,000 and 100,000 samples of tiny raw contents and of features of a real size (16 tokens of 64 numbers, two
modalities), runs stages as processes of their own and reads how much memory each held at most. What is documented to grow
with the number of samples (see `ALLOWED`) is taken off; what is left may be at most 10 % more for five times the samples.
Draws a picture, ends with one line of JSON; exit code 1 when a stage is beyond the bar.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import yaml

from tasks import params as parameters
from tasks.extract import Card, save_encoder
from tasks.extract import text as network
from tasks.features import Features, write_features
from tasks.files import write_json
from tasks.paths import ENCODERS, FEATURES, MANIFEST, REPORTS
from tasks.profile import text as kind
from tasks.tables import write_parquet

ROOT = Path(__file__).resolve().parents[2]
SIZES = (20_000, 100_000)
TOKENS, WIDTH, MODALITIES = 16, 64, ("first", "second")
PARTITION = 5000
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
MOST = 1.1  # how much may be left at the larger size, where 1 is what is left at the smaller
CEILING = 8 * WIDTH * TOKENS * len(MODALITIES)  # bytes per sample: no documented growth may be above it
HELD = (4 * WIDTH + 5) * TOKENS * len(MODALITIES)  # tasks.train.inputs.aligned: float32 numbers, masks, times
POOLED = 8 * (WIDTH + 1) * len(MODALITIES)  # tasks.train.logistic: float64, in up to two copies

# Stage -> bytes per sample of all that the docstrings say will grow.
ALLOWED = {
    "ingest": 48.0,  # metadata.csv as it is
    "profile": 0.0,
    "extract": 0.0,
    "train mean": HELD * (SHARES["train"] + SHARES["val"]),
    "train plain": (HELD + 2 * POOLED) * (SHARES["train"] + SHARES["val"]),
    "evaluate": (HELD + 2 * POOLED) * SHARES["test"],
}
COMMANDS = {
    "ingest": ("raw", "tasks.ingest"),
    "profile": ("raw", "tasks.profile", "note"),
    "extract": ("raw", "tasks.extract", "note"),
    "train mean": ("features", "tasks.train", "mean"),
    "train plain": ("features", "tasks.train", "plain"),
    "evaluate": ("features", "tasks.evaluate"),
}


def project(folder: Path, params: dict[str, object]) -> None:
    """A folder in which stages can run."""
    folder.mkdir(parents=True)
    for name in ("tasks", "requirements.lock"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def plant_raw(folder: Path, samples: int) -> None:
    """A landed batch of tiny texts, a file each, and an encoder that was never fitted."""
    modalities = {"note": {"kind": "text"}}
    project(folder, {"modalities": modalities, "targets": {"label": {}}, "pretrain": {"width": WIDTH}})
    night = folder / "data/0_landing/night"
    lines = ["sample_id,label,note_file_name"]
    for i in range(samples):
        if i % 1000 == 0:
            (night / f"{i // 1000:03d}").mkdir(parents=True)
        path = f"{i // 1000:03d}/{i % 1000:03d}.txt"
        (night / path).write_text(f"words of sample {i}")
        lines.append(f"sample-{i:06d},{'ab'[i % 2]},{path}")
    (night / "metadata.csv").write_text("\n".join(lines))
    options = kind.Options()
    facts = network.fit_facts([kind.decode(f"words of sample {i}".encode(), options) for i in range(100)], options)
    card = Card("text", asdict(options), facts, WIDTH, {"label": ["a", "b"]}, 0, [])
    torch.manual_seed(0)
    save_encoder(folder / ENCODERS / "note", card, network.Encoder(options, facts, WIDTH, 0.0))


def plant_features(folder: Path, samples: int) -> None:
    """A manifest, and features in which the classes can be seen a little."""
    names = {name: {"kind": "text"} for name in MODALITIES}
    train = {"epochs": 1, "batch": 256, "width": WIDTH}
    project(folder, {"modalities": names, "targets": {"label": {}}, "fusions": ["mean"], "train": train, "evaluate": {}})
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, samples)
    ids = [f"sample-{i:06d}" for i in range(samples)]
    split = rng.choice(list(SHARES), samples, p=list(SHARES.values()))
    columns = {"sample_id": ids, "batch": ["night-00000000"] * samples, "group": ids, "split": split}
    columns |= {"timestamp": pa.nulls(samples, pa.float64()), "label": truth}
    write_parquet(folder / MANIFEST / "samples.parquet", pa.table(columns | {f"has_{m}": [True] * samples for m in MODALITIES}))
    write_json(
        folder / MANIFEST / "manifest.json",
        {"targets": {"label": {"type": "classification", "classes": list("abcd")}}, "samples": samples},
    )
    found = {"score": 0.5, "temperature": {"label": 1.0}}
    candidates = dict.fromkeys(("mean", "late", "logistic", *(f"alone-{m}" for m in MODALITIES)), found)
    choice = {"selected": "mean", "target": "label", "metric": "accuracy", "candidates": candidates}
    write_json(folder / REPORTS / "select.json", choice | {"calibrated_on": {"samples": 0, "groups": 0}})
    for m in MODALITIES:
        directions = rng.normal(size=(4, 1, WIDTH)).astype(np.float32)
        for at in range(0, samples, PARTITION):
            rows = slice(at, at + PARTITION)
            tokens = rng.standard_normal((len(ids[rows]), TOKENS, WIDTH), np.float32) + directions[truth[rows]] * 0.2
            whole = np.ones(tokens.shape[:2], np.bool_)
            path = folder / FEATURES / m / f"night-00000000-{at // PARTITION:03d}.safetensors"
            write_features(path, Features(tokens, whole, whole.astype(np.float32)), "", ids[rows])


PLANT: dict[str, Callable[[Path, int], None]] = {"raw": plant_raw, "features": plant_features}


# A process starts with its parent's peak to its name, so the parent is this small one.
LAUNCHER = """
import os, sys
child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", *sys.argv[1:]])
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak(folder: Path, *words: str) -> int:
    """Run a command in a folder; the most memory that its process held at once, bytes."""
    command = [sys.executable, "-c", LAUNCHER, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout[-600:]}\n{done.stderr[-2000:]}")
    return int(done.stdout.split()[-1]) * 1024


def measured(work: Path, samples: int) -> dict[str, int]:
    """Stage -> peak in bytes, with so many samples."""
    found = {}
    for what, plant in PLANT.items():
        folder = work / f"{what}-{samples}"
        plant(folder, samples)
        for stage, (place, *words) in COMMANDS.items():
            if place == what:
                found[stage] = peak(folder, *words)
                print(f"{samples} samples, {stage}: {found[stage] / 2**20:.0f} MiB", flush=True)
        shutil.rmtree(folder)
    return found


def judged(peaks: dict[int, dict[str, int]]) -> dict[str, dict[str, float | bool]]:
    """Per stage: peaks and what is left without what may grow (MiB), how much more is left, whether that is within the bar."""
    rows: dict[str, dict[str, float | bool]] = {}
    for stage, allowed in ALLOWED.items():
        small, large = (peaks[samples][stage] for samples in SIZES)
        left = [peak - allowed * samples for peak, samples in zip((small, large), SIZES, strict=True)]
        rows[stage] = {
            "small_mib": round(small / 2**20, 1),
            "large_mib": round(large / 2**20, 1),
            "allowed_bytes_per_sample": round(allowed),
            "growth": round(left[1] / left[0], 3),
            "within": left[1] <= MOST * left[0] and allowed <= CEILING,
        }
    return rows


def draw(path: Path, rows: dict[str, dict[str, float | bool]]) -> None:
    """Two bars per stage: what is left, and on top what is documented to grow."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    places = np.arange(len(rows))
    for offset, key, samples, colour in ((-0.2, "small_mib", SIZES[0], "#9fb4c4"), (0.2, "large_mib", SIZES[1], "#4a6378")):
        whole = np.array([row[key] for row in rows.values()])
        grows = np.array([row["allowed_bytes_per_sample"] for row in rows.values()]) * samples / 2**20
        axes.bar(places + offset, whole - grows, 0.38, color=colour, label=f"{samples:,} samples")
        axes.bar(places + offset, grows, 0.38, bottom=whole - grows, color="white", edgecolor=colour, hatch="///")
    axes.bar(0, 0, color="white", edgecolor="#4a6378", hatch="///", label="documented to grow")
    axes.set_xticks(places, [f"{stage}\n×{row['growth']:.2f}" for stage, row in rows.items()])  # noqa: RUF001
    axes.set(ylabel="peak memory, MiB", title=f"Five times the samples: what is left may grow by {MOST - 1:.0%}")
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> int:
    """Measure, draw, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path, help="where the PNG goes")
    picture = parser.parse_args().picture
    parameters.load(ROOT / "params.yaml")  # what runs here can read params at all
    with tempfile.TemporaryDirectory(prefix="nightloom-memory-") as work:
        rows = judged({samples: measured(Path(work), samples) for samples in SIZES})
    draw(picture, rows)
    print(json.dumps({"samples": SIZES, "stages": rows}))
    return 0 if all(row["within"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
