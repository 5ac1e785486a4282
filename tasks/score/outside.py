"""How a model does on labelled data from elsewhere: `python -m tasks.score.outside /data/other-hospital`.

A folder or s3://bucket/prefix with labelled batches as in the training zone, of which the model has learned nothing: another
site, another device, another public data set. The champion answers, or --version, or the bundle in a folder. Printed are all
scores of each target with their intervals, clustered by `group`, and how far probabilities are off. Nothing is written.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tasks.bundle import Bundle
from tasks.calibration import Confidence
from tasks.errors import NoData, TasksError
from tasks.evaluate.scores import Sureness
from tasks.files import read_json
from tasks.ingest.landing import Landed, list_batches
from tasks.ingest.metadata import Metadata
from tasks.params import Evaluate, Ingest
from tasks.score.__main__ import add_who, chosen
from tasks.score.batch import score_batch
from tasks.score.live import Met, point, truth_of
from tasks.score.model import Gone, Model, contract
from tasks.stage import MISTAKE, leave
from tasks.targets import METRICS, Output

LABEL = "label of {}"
COUNTS = {"rows": "rows", "predicted": "scored", "left_out": "quarantined"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code: 0 scored, 2 nothing could be, for a reason that is told."""
    parser = argparse.ArgumentParser(prog="python -m tasks.score.outside", description=__doc__)
    parser.add_argument("landing", help="a folder, or s3://bucket/prefix: a batch, or batches")
    add_who(parser)
    parser.add_argument("--json", action="store_true", help="a line of JSON instead of a table")
    given = parser.parse_args(arguments)
    try:
        progress = redirect_stdout(sys.stderr) if given.json else nullcontext()
        with chosen(given.bundle, given.version) as folder, progress:
            found = outside(folder, given.landing, Sureness(Evaluate.bootstrap, Evaluate.confidence, 0))
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        return MISTAKE
    print(json.dumps(found, sort_keys=True) if given.json else "\n".join(lines(found)))
    return 0


def outside(folder: Path, landing: str, sure: Sureness) -> dict[str, Any]:
    """Score a bundle on labelled batches.

    Args:
        folder: the bundle.
        landing: where they lie.
        sure: how intervals are made.

    Returns:
        `rows`, `predicted`, `left_out`, `reasons` of the latter; `targets`: by name `unlabelled`, `unknown` (labels that the
        model does not know), `scores` (metric -> point, see `tasks.score.live.curve`) and of classes `error`, the calibration
        error; no scores where no label is known.

    Raises:
        NoData: there is no batch, nothing in them can be used, or none of their samples has a label.
        ContractBroken: a batch breaks the landing contract as a whole.
    """
    bundle = Bundle.load(folder)
    model = Model("", bundle, contract(read_json(folder / "bundle.json")["modalities"], Ingest()))
    batches = [batch for batch in list_batches(landing) if not batch.of_events]
    if not batches:
        raise NoData(f"{landing} holds no batch of samples: a folder with a metadata.csv, or folders that have one")
    facts, tables = [], []
    with tempfile.TemporaryDirectory() as place:
        answers = Path(place, "answers.parquet")
        for batch in batches:
            facts.append(score_batch(batch, model, Gone(), answers, Path(place, "left_out.parquet"))[1])
            tables.append(_with_labels(pq.read_table(answers).to_pandas(), batch, model))
    if not any(fact["scored"] for fact in facts):
        why = max(((count, reason) for fact in facts for reason, count in fact["reasons"]), default=(0, "they hold no row"))[1]
        raise NoData(f"nothing in the batches of {landing} could be used: {why}")
    rows = pd.concat(tables, ignore_index=True).drop_duplicates("sample_id")
    targets = {target: _scored(rows, target, output, sure) for target, output in sorted(bundle.targets.items())}
    if not any(body["scores"] for body in targets.values()):
        raise NoData(f"no sample of {landing} has a label of {', '.join(targets)}: name it in a column of metadata.csv")
    counts = {name: sum(fact[of] for fact in facts) for name, of in COUNTS.items()}
    return {**counts, "reasons": [reason for fact in facts for reason in fact["reasons"]], "targets": targets}


def _with_labels(rows: pd.DataFrame, batch: Landed, model: Model) -> pd.DataFrame:
    """The predictions of a batch with what its metadata.csv says of each target, "" where it says nothing."""
    cells = {line.cells["sample_id"]: line.cells for line in Metadata(batch, model.params).lines()}
    for target in model.bundle.targets:
        rows[LABEL.format(target)] = [cells[sample].get(target, "").strip() for sample in rows["sample_id"]]
    return rows


def _scored(rows: pd.DataFrame, target: str, output: Output, sure: Sureness) -> dict[str, Any]:
    labels = rows[LABEL.format(target)]
    strange = labels.map(lambda cell: bool(cell) and bool(output.problem(target, cell))).astype(bool)
    known = rows[(labels != "") & ~strange]
    counts: dict[str, Any] = {"unlabelled": int((labels == "").sum()), "unknown": int(strange.sum())}
    if known.empty:
        return {**counts, "scores": {}}
    group = known["group"].where(known["group"] != "", known["sample_id"])
    told = pd.DataFrame({"sample_id": known["sample_id"], "group": group})
    truth = np.array([truth_of(cell, output) for cell in labels[known.index]])
    names = [target] if output.is_number else [f"{target}__{name}" for name in output.classes]
    met = Met(output, told, truth, known[names].to_numpy(np.float64))
    scores = {metric: point(met, metric, sure) for metric in METRICS[output.type]}
    error = {} if output.is_number else {"error": Confidence.of(truth, met.answer, group.to_numpy(object), output).error}
    return {**counts, "scores": scores, **error}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What was found, for people."""
    yield f"{found['rows']} rows, {found['predicted']} predicted, {found['left_out']} left out"
    yield from (f"  {count} x {reason}" for reason, count in found["reasons"])
    for target, body in found["targets"].items():
        lost = [f"{body[name]} {name}" for name in ("unlabelled", "unknown") if body[name]]
        size = next((f"{p['samples']} samples of {p['groups']} groups" for p in body["scores"].values()), "no label is known")
        yield f"{target}: {size}{''.join(f', {text}' for text in lost)}"
        yield from (f"  {metric.replace('_', ' '):<28}{_told(p)}" for metric, p in body["scores"].items())
        if "error" in body:
            yield f"  {'calibration error':<28}{body['error']:>8.3f}"


def _told(p: Mapping[str, Any]) -> str:
    if p["value"] is None:
        return "   none: one class alone"
    bounds = "one group alone tells no interval" if p["low"] is None else f"[{p['low']:.3f}, {p['high']:.3f}]"
    return f"{p['value']:>8.3f}  {bounds}"


if __name__ == "__main__":
    leave(main())
