"""Does `select` ever regret its choice? `python -m tests.bench.regret --landing DATASETS`, or the names of some data sets.

On every recipe with a planted law, and on each folder of DATASETS that a recipe reads (av-digits, terrain), five seeds: the
selected model against the best single modality and against logistic regression on the same frozen features, on the test samples
of all seeds together, paired, clustered by group. What is more than a point behind must lie outside the interval; where the
samples cannot tell a point, the mean must not be a point behind.

A seed's answers are kept in RESULTS, and not made again: cut off, or asked for in pieces, it goes on where it was. Ends with a
table of all candidates and one line of JSON; exit code 1 below the bar.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from tests.bench.judging import judge, show
from tests.figures import ROOT, night, prepare
from tests.forked import call, stage
from tests.recipes.night import PLANTED, recipe

SEEDS = 5
SAMPLES = 4800  # of a recipe's night: some 1,440 judge, other ones for each seed
FOLDED = ("terrain",)  # so few groups that each seed takes another fold for its test set: all of them judge
RESULTS = ROOT / ".nightloom/regret"


def main() -> int:
    """Run what has not been run, then judge all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="data sets; none: all")
    parser.add_argument("--landing", type=Path, help="a folder of landing zones, each named as a recipe")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="a folder: a table per data set and seed")
    asked = parser.parse_args()
    zones = {path.name: path for path in sorted(asked.landing.iterdir()) if _is_read(path.name)} if asked.landing else {}
    if strange := set(asked.names) - {*zones, *PLANTED}:
        parser.error(f"unknown {', '.join(sorted(strange))}; known: {', '.join([*zones, *PLANTED])}")
    names = asked.names or [*zones, *PLANTED]
    asked.results.mkdir(parents=True, exist_ok=True)
    for name in names:
        run(name, zones.get(name), asked.seeds, asked.results.resolve())
    found = {name: judge(name, [asked.results / f"{name}-{seed}.parquet" for seed in range(asked.seeds)]) for name in names}
    for name, regret in found.items():
        show(name, regret)
    print(json.dumps({name: regret.as_json() for name, regret in found.items()}))
    return 1 if any(regret.problems for regret in found.values()) else 0


def _is_read(name: str) -> bool:
    return (ROOT / f"data/recipes/{name}/params.yaml").is_file()


def run(name: str, zone: Path | None, seeds: int, results: Path) -> None:
    """Run the seeds of a data set that have no table yet; profiles are made once for all of them."""
    left = [seed for seed in range(seeds) if not (results / f"{name}-{seed}.parquet").is_file()]
    if not left:
        return
    with tempfile.TemporaryDirectory(prefix=f"regret-{name}-") as folder:
        base = Path(folder, "base")
        base.mkdir()
        if zone is None:
            zone = base / "data/0_landing"
            recipe(name).land(1, zone, SAMPLES)
        prepare(base, ROOT / f"data/recipes/{name}/params.yaml", str(zone), stage)
        for seed in left:
            began, to = time.monotonic(), Path(folder, str(seed))
            changes = {"seed": seed} | ({"split.fold": seed, "split.folds": seeds} if name in FOLDED else {})
            scores = night(base, to, changes, stage)
            call(to, write_answers, str(results / f"{name}-{seed}.parquet"))
            print(f"{name} seed {seed}: {scores['selected']}, {time.monotonic() - began:.0f} s", flush=True)
            shutil.rmtree(to)


def write_answers(path: str) -> None:
    """Write what every candidate of this night decides for the test samples: columns `group`, `truth`, one per candidate."""
    from tasks.evaluate.__main__ import predicted
    from tasks.files import read_json
    from tasks.params import load
    from tasks.paths import REPORTS, candidate_folders
    from tasks.tables import decided, labelled, write_parquet
    from tasks.train.inputs import read_inputs, read_outputs

    params = load()
    target, test = params.gate.target, read_inputs(params.modalities, "test")
    output, known = read_outputs()[target], labelled(test.labels(target))
    answers, _ = predicted(test, candidate_folders(params.modalities, params.fusions))
    columns = {"group": test.samples["group"].filter(pa.array(known)), "truth": test.labels(target)[known]}
    columns |= {name: decided(answer[target], output)[known] for name, answer in answers.items()}
    about = {"selected": read_json(REPORTS / "select.json")["selected"], "classes": str(len(output.classes))}
    write_parquet(Path(path), pa.table(columns).replace_schema_metadata({**about, "metric": params.gate.metric}))


if __name__ == "__main__":
    sys.exit(main())
