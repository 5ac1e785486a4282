"""Judge the night's data: `python -m tasks.validate` (see tasks/validate/__init__.py for what it writes)."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.files import new_folder, write_json
from tasks.near import NEAR
from tasks.params import Params, load
from tasks.paths import MANIFEST
from tasks.slices import COLUMN
from tasks.splits import NONE, PARTS
from tasks.stage import count, enter
from tasks.tables import write_parquet
from tasks.validate.drift import drift
from tasks.validate.great import Judge
from tasks.validate.leaks import content, dense
from tasks.validate.night import Night, read_night
from tasks.validate.suites import tables
from tasks.validate.verdicts import Sorted, sort_rows

TEXT = pa.string()
QUARANTINE = pa.schema([("sample_id", TEXT), ("batch", TEXT), ("row", pa.int64()), ("modality", TEXT), ("reason", TEXT)])


def validate() -> None:
    """Write data/3_manifest/.

    Raises:
        NoData: nothing has landed, or a file is absent.
        ContractBroken: the files that it reads do not belong together.
    """
    params = load()
    night = read_night(params)
    rows = sort_rows(night)
    distances = drift(night)
    lost = pd.concat([rows.quarantined, rows.events], ignore_index=True)
    with new_folder(MANIFEST) as folder:
        write_parquet(folder / "samples.parquet", _table(rows.manifest, _schema(params)))
        write_parquet(folder / "contents.parquet", _contents(night, rows))
        write_parquet(folder / "quarantine.parquet", _table(lost, QUARANTINE))
        write_json(folder / "manifest.json", _manifest(night, rows, lost))
        write_json(folder / "drift.json", {"columns": distances.to_dict("records")})
        write_json(folder / "validation.json", _judge(night, rows, distances, folder))
    count(accepted=len(rows.manifest), quarantined=len(lost))


def _judge(night: Night, rows: Sorted, distances: pd.DataFrame, folder: Path) -> dict[str, Any]:
    judge = Judge()
    entries: list[dict[str, Any]] = []
    for table in tables(night, rows, distances):
        found, result = judge.judge(table)
        write_json(folder / "gx" / f"{table.name}.json", result)
        entries += found
    broken = [entry for entry in entries if entry["severity"] == "critical" and not entry["success"]]
    return {
        "success": not broken,
        "expectations": entries,
        "batches": [batch.key for batch in night.batches],
        "failed_batches": sorted({key for entry in broken for key in entry["batches"]}),
    }


def _contents(night: Night, rows: Sorted) -> pa.Table:
    kept = rows.manifest.index
    columns = {"sample_id": rows.manifest["sample_id"], "content": content(night)[kept]}
    columns |= {NEAR.format(name): night.profiles[name]["near"].astype("Int64").reindex(kept) for name in dense(night)}
    fields = [("sample_id", TEXT), ("content", TEXT), *((NEAR.format(name), pa.int64()) for name in dense(night))]
    return _table(pd.DataFrame(columns), pa.schema(fields))


def _manifest(night: Night, rows: Sorted, lost: pd.DataFrame) -> dict[str, Any]:
    events = night.events[night.events["refused"] == ""]["batch"].value_counts()
    accepted, left = rows.manifest["batch"].value_counts(), lost["batch"].value_counts()
    splits = rows.manifest["split"].value_counts()
    batches = []
    for batch in night.batches:
        key = batch.key
        of = accepted if batch.of_samples else events
        counts = {
            "accepted": int(of.get(key, 0)),
            "quarantined": int(left.get(key, 0)),
            "withdrawn": night.withdrawn.get(key, 0),
        }
        batches.append({"key": key, "name": batch.name, "rows": sum(counts.values()), **counts})
    domain = {"domain": night.params.validate.domain} if night.params.validate.domain else {}
    return domain | {
        "targets": {target: output.as_json() for target, output in night.outputs.items()},
        "samples": len(rows.manifest),
        "quarantined": len(lost),
        "withdrawn": sum(night.withdrawn.values()),
        "splits": {part: int(splits.get(part, 0)) for part in (*PARTS, NONE)},
        "batches": batches,
        "new": night.new,
    }


def _schema(params: Params) -> pa.Schema:
    fields = [("sample_id", TEXT), ("batch", TEXT), ("group", TEXT), ("split", TEXT)]
    fields += [("unlabelled", pa.bool_()), ("timestamp", pa.float64())]
    kinds = {"classification": pa.int64(), "multilabel": pa.list_(pa.int8()), "regression": pa.float64()}
    fields += [(target, kinds[body.type]) for target, body in params.targets.items()]
    fields += [(f"has_{name}", pa.bool_()) for name in params.modalities]
    fields += [(COLUMN.format(name), TEXT) for name in params.validate.slices]
    return pa.schema(fields + ([("domain", TEXT)] if params.validate.domain else []))


def _table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)


if __name__ == "__main__":
    enter(validate)
