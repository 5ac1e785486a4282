"""Does `select` ever regret its choice? `python -m tests.bench.regret --landing DATASETS`, or the names of some data sets.

On every recipe with a planted law, and on each folder of DATASETS that a recipe reads (av-digits, terrain), five seeds: the
selected model against the best single modality and against logistic regression on the same frozen features, on the test samples
of all seeds together, paired, clustered by group. What is more than a point behind must lie outside the interval; where the
samples cannot tell a point, the mean must not be a point behind.

A night's answers are kept in RESULTS, and not made again: cut off, or asked for in pieces, it goes on where it was; the rule is
applied to what is kept. Ends with a table of all candidates and one line of JSON; exit code 1 below the bar.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import pyarrow as pa

from tests.bench.judging import judge, show
from tests.figures import ROOT, night, prepare
from tests.forked import call, stage
from tests.recipes.night import PLANTED, recipe

SEEDS = 5
SAMPLES = 4800  # of a recipe's night: some 1,440 judge, other ones for each seed
FOLDS = {"terrain": 5}  # so few groups that each fold is the test set once, of each seed
RESULTS = ROOT / ".nightloom/regret"


def main() -> int:
    """Run what has not been run, then judge all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="data sets; none: all")
    parser.add_argument("--landing", type=Path, help="a folder of landing zones, each named as a recipe")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="a folder: a table per night")
    asked = parser.parse_args()
    zones = {path.name: path for path in sorted(asked.landing.iterdir()) if _is_read(path.name)} if asked.landing else {}
    if strange := set(asked.names) - {*zones, *PLANTED}:
        parser.error(f"unknown {', '.join(sorted(strange))}; known: {', '.join([*zones, *PLANTED])}")
    names = asked.names or [*zones, *PLANTED]
    asked.results.mkdir(parents=True, exist_ok=True)
    for name in names:
        run(name, zones.get(name), asked.seeds, asked.results.resolve())
    found = {name: judge(name, [asked.results / f"{of}.parquet" for of in nights(name, asked.seeds)]) for name in names}
    for name, regret in found.items():
        show(name, regret)
    print(json.dumps({name: regret.as_json() for name, regret in found.items()}))
    return 1 if any(regret.problems for regret in found.values()) else 0


def _is_read(name: str) -> bool:
    return (ROOT / f"data/recipes/{name}/params.yaml").is_file()


def nights(name: str, seeds: int) -> dict[str, dict[str, int]]:
    """What is run of a data set: by name, the params that differ."""
    if name not in FOLDS:
        return {f"{name}-{seed}": {"seed": seed} for seed in range(seeds)}
    each = product(range(seeds), range(FOLDS[name]))
    return {f"{name}-{seed}-{fold}": {"seed": seed, "split.fold": fold, "split.folds": FOLDS[name]} for seed, fold in each}


def run(name: str, zone: Path | None, seeds: int, results: Path) -> None:
    """Run the nights of a data set that have no table yet; profiles are made once for all of them."""
    left = {of: changes for of, changes in nights(name, seeds).items() if not (results / f"{of}.parquet").is_file()}
    if not left:
        return
    with tempfile.TemporaryDirectory(prefix=f"regret-{name}-") as folder:
        base = Path(folder, "base")
        base.mkdir()
        if zone is None:
            zone = base / "data/0_landing"
            recipe(name).land(1, zone, SAMPLES)
        prepare(base, ROOT / f"data/recipes/{name}/params.yaml", str(zone), stage)
        for of, changes in left.items():
            began, to = time.monotonic(), Path(folder, of)
            scores = night(base, to, changes, stage)
            call(to, write_answers, str(results / f"{of}.parquet"))
            print(f"{of}: {scores['selected']} selected, {time.monotonic() - began:.0f} s", flush=True)
            shutil.rmtree(to)


def write_answers(path: str) -> None:
    """Write what every candidate of this night decides: columns `split` (val, test), `group`, `truth`, one per candidate."""
    from tasks.evaluate.__main__ import predicted
    from tasks.files import read_json
    from tasks.params import load
    from tasks.paths import candidate_folders
    from tasks.tables import decided, labelled, write_parquet
    from tasks.train.inputs import read_inputs, read_outputs

    params, parts = load(), []
    folders = candidate_folders(params.modalities, params.fusions, params.train.finetune)
    target, output = params.gate.target, read_outputs()[params.gate.target]
    for split in ("val", "test"):
        inputs = read_inputs(params.modalities, split)
        known = labelled(inputs.labels(target))
        answers, _ = predicted(inputs, folders)
        groups = inputs.samples["group"].filter(pa.array(known))
        columns = {"split": [split] * len(groups), "group": groups, "truth": inputs.labels(target)[known]}
        parts.append(pa.table(columns | {name: decided(answer[target], output)[known] for name, answer in answers.items()}))
    cards = {name: read_json(folder / "candidate.json") for name, folder in folders.items()}
    about = {"candidates": {name: [card["kind"], card["parameters"]] for name, card in cards.items()}}
    about |= {"classes": len(output.classes), "metric": params.gate.metric, "most": params.gate.margin / 2}
    write_parquet(Path(path), pa.concat_tables(parts).replace_schema_metadata({"about": json.dumps(about)}))


if __name__ == "__main__":
    sys.exit(main())
