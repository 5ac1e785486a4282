"""How good is the fused model? `python -m tests.figures sample`, or `… av-digits LANDING`, `… terrain LANDING`.

Runs the bare stages (no scheduler, no DVC) on a landing zone, for several seeds and, with `--folds`, with each fold as the
test set, everything refitted. Prints a table and ends with one line of JSON; exit code 1 below the bar of the data set.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from tasks import params as parameters
from tasks.index import write_index
from tasks.ingest import ingest
from tasks.ingest.landing import list_batches

ROOT = Path(__file__).resolve().parent.parent


def stage(project: Path, *words: str) -> None:
    """Run one stage; its last lines are shown when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", f"tasks.{words[0]}", *words[1:]], cwd=project, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{project}: {' '.join(words)}\n{done.stdout[-600:]}\n{done.stderr[-2000:]}")


def prepare(to: Path, recipe: Path, landing: str, run: Callable[..., None] = stage) -> None:
    """Make a project: code by link, params, ingested batches, the first as reference, profiles."""
    for name in ("tasks", "requirements.lock"):
        (to / name).symlink_to(ROOT / name)
    shutil.copy(recipe, to / "params.yaml")
    params = bring(to, landing)
    shutil.copy(ROOT / "data/registry.json", to / "data/registry.json")
    for modality in params.modalities:
        run(to, "profile", modality)


def bring(to: Path, landing: str) -> parameters.Params:
    """Ingest what landed into a project: the first batch is the reference, and nothing reigns."""
    params = parameters.load(to / "params.yaml")
    batches = [ingest(landed, params, to / "data/1_raw").batch for landed in list_batches(landing)]
    write_index(batches, to / "data/1_raw.json")
    write_index(batches[:1], to / "data/reference.json")
    (to / "data/champion").mkdir()
    (to / "data/anchor").mkdir()
    (to / "data/start").mkdir()
    (to / "data/champion_manifest").mkdir()
    (to / "data/anchor_manifest").mkdir()
    return params


def change(to: Path, changes: Mapping[str, Any]) -> parameters.Params:
    """Change a project's params.yaml: `{"train.epochs": 20}`."""
    raw = yaml.safe_load((to / "params.yaml").read_text())
    for key, value in changes.items():
        group, _, name = key.rpartition(".")
        (raw.setdefault(group, {}) if group else raw)[name] = value
    (to / "params.yaml").write_text(yaml.safe_dump(raw))
    return parameters.check(raw)


def night(base: Path, to: Path, changes: Mapping[str, Any], run: Callable[..., None] = stage) -> dict[str, Any]:
    """Run what comes after profile with other params; returns scores.json."""
    shutil.copytree(base, to, symlinks=True, ignore=shutil.ignore_patterns("1_raw", "2_profiles"))
    for name in ("1_raw", "2_profiles"):
        (to / "data" / name).symlink_to(base / "data" / name)
    params = change(to, changes)
    run(to, "validate")
    for modality in params.modalities:
        run(to, "pretrain", modality)
        run(to, "extract", modality)
    for fusion in (*params.fusions, "plain"):
        run(to, "train", fusion)
    run(to, "select")
    run(to, "evaluate")
    scores: dict[str, Any] = json.loads((to / "data/6_reports/evaluate/scores.json").read_text())
    return scores


def spectral_baseline(project: Path) -> float:
    """Logistic regression on each window's means, deviations and six spectral bands, on the project's own split."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    samples = pq.read_table(project / "data/3_manifest/samples.parquet").to_pandas().set_index("sample_id")
    target = next(iter(parameters.load(project / "params.yaml").targets))
    columns = [
        windows(project / "data/1_raw" / name)
        for name in sorted(p.name for p in (project / "data/1_raw").iterdir())
        if name != "samples"
    ]
    X = pd.concat(columns, axis=1).loc[samples.index].to_numpy()
    test = (samples["split"] == "test").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
    model.fit(X[~test], samples[target].to_numpy()[~test])
    return float(model.score(X[test], samples[target].to_numpy()[test]))


def windows(folder: Path) -> pd.DataFrame:
    """Means, deviations and log energies of six equal spectral bands, per channel; one row per sample."""
    import io

    rows = {}
    for file in sorted(folder.glob("*.parquet")):
        for row in pq.read_table(file).to_pylist():
            x = np.load(io.BytesIO(row["data"]))
            power = np.abs(np.fft.rfft(x - x.mean(0), axis=0)) ** 2
            bands = [np.log(band.mean(0) + 1e-9) for band in np.array_split(power[1:], 6)]
            rows[row["sample_id"]] = np.concatenate([x.mean(0), x.std(0), *bands])
    return pd.DataFrame.from_dict(rows, orient="index")


def single(scores: dict[str, Any], of: str = "candidates") -> float:
    """The best single modality's accuracy."""
    return max(entry["accuracy"]["value"] for name, entry in scores[of].items() if name.startswith("alone-"))


def rows(base: Path, work: Path, seeds: int, folds: int) -> Iterator[dict[str, Any]]:
    """One row per seed and fold."""

    def one(job: tuple[int, int | None]) -> dict[str, Any]:
        seed, fold = job
        to = work / f"{seed}-{fold}"
        scores = night(base, to, {"seed": seed} | ({"split.fold": fold, "split.folds": folds} if fold is not None else {}))
        complete = scores["complete"]
        fused = scores["candidates"][scores["selected"]]["accuracy"]["value"]
        row = {"seed": seed, "fold": fold, "selected": scores["selected"], "fused": fused, "single": single(scores)}
        row |= {
            "logistic": scores["candidates"]["logistic"]["accuracy"]["value"],
            "gain_low": complete["gain_over_best_single"]["low"],
        }
        row["complete"] = complete["candidates"][scores["selected"]]["accuracy"]["value"]
        row["complete_logistic"] = complete["candidates"]["logistic"]["accuracy"]["value"]
        row["complete_single"] = single(complete)
        return row | ({"spectral": spectral_baseline(to)} if folds else {})

    jobs: list[tuple[int, int | None]] = [(seed, fold) for seed in range(seeds) for fold in (range(folds) if folds else [None])]
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(one, jobs):
            print(" ".join(f"{k}={v:.3f}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True)
            yield row


BARS = {
    "sample": lambda m, r: r["gain_low"].min() > 0 and m["complete"] >= m["complete_logistic"],
    "av-digits": lambda m, r: m["fused"] >= 0.85 and m["fused"] - m["single"] >= 0.15,
    "terrain": lambda m, r: m["fused"] >= m["spectral"] - 0.01,
}


def main() -> None:
    """Run, print the means, hold them against the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=BARS)
    parser.add_argument("landing", nargs="?", help="the landing zone (sample: made here)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, help="k-fold by group (terrain: 5)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="figures-") as folder:
        work = Path(folder)
        landing = asked.landing or sample(work / "landing")
        recipe = ROOT / ("params.yaml" if asked.data == "sample" else f"data/recipes/{asked.data}/params.yaml")
        base = work / "base"
        base.mkdir()
        prepare(base, recipe, landing)
        folds = asked.folds if asked.folds is not None else 5 * (asked.data == "terrain")
        table = pd.DataFrame(rows(base, work, asked.seeds, folds))
    means = {key: round(float(value), 4) for key, value in table.mean(numeric_only=True).items() if key not in ("seed", "fold")}
    passed = bool(BARS[asked.data](means, table))
    print(
        json.dumps(
            {
                "data": asked.data,
                "runs": len(table),
                "gain_low_min": round(float(table["gain_low"].min()), 4),
                **means,
                "passed": passed,
            }
        )
    )
    sys.exit(0 if passed else 1)


def sample(to: Path) -> str:
    """The default sample's first night."""
    generate = [sys.executable, "-m", "data.recipes.digits.generate", "--night", "1", "--to", str(to)]
    subprocess.run(generate, cwd=ROOT, check=True)
    return str(to)


if __name__ == "__main__":
    main()
