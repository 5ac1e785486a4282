"""Judge tonight's candidate: `python -m tasks.gate`. A "no" is an outcome and exits 0."""

import argparse
from pathlib import Path
from typing import Any

from tasks.errors import ContractBroken, NoData
from tasks.files import file_digest, folder_digest, read_json, write_json
from tasks.gate.evidence import gather
from tasks.gate.verdict import decide, judged
from tasks.params import load
from tasks.paths import BUNDLE, INDEX, REPORTS
from tasks.stage import count, enter

REGISTRY = Path("data/registry.json")


def gate() -> None:
    """Write data/6_reports/verdict.json: it names candidate, champion, anchor and data, so that a stale one can be told.

    Raises:
        NoData: an input is absent: what cannot be computed is no verdict.
        ContractBroken: the registry's pins are not what `open` writes.
    """
    registry = read_registry()
    if not (BUNDLE / "bundle.json").is_file():
        raise NoData(f"{BUNDLE} is not here: `dvc pull`, or `dvc repro select`")
    if not INDEX.is_file():
        raise NoData(f"{INDEX} is not here: restore it with `git checkout -- {INDEX}`")
    params = load()
    evidence = gather(params, registry)
    rows = judged(evidence)
    verdict = {
        **decide(rows, evidence, params.promotion),
        "candidate": folder_digest(BUNDLE),
        "champion": {key: registry["champion"][key] for key in ("number", "version")},
        "anchor": {"version": registry["anchor"]["version"]},
        "data": file_digest(INDEX),
    }
    write_json(REPORTS / "verdict.json", verdict)
    for row in rows:
        print(f"{row.verdict:14} {'' if row.blocking else '(warning) '}{row.name}: {row.reason}", flush=True)
    print(f"verdict: {verdict['verdict']}, decided by {verdict['decided_by']}", flush=True)
    if verdict["approval"]:
        print(f"a person must approve: {verdict['approval']}", flush=True)
    count(rows=len(rows))


def read_registry(path: Path = REGISTRY) -> dict[str, Any]:
    """Read the pins of the reigning models, {"champion": {"number", "version", "batches"}, "anchor": {"version", "batches"}}.

    `batches` are the keys of those that had been accepted when it was promoted.
    """
    pins = read_json(path)
    try:
        found = {
            who: {"version": pins[who]["version"], "batches": list(pins[who]["batches"])} for who in ("champion", "anchor")
        }
        return {**found, "champion": {"number": int(pins["champion"]["number"]), **found["champion"]}}
    except (KeyError, TypeError, ValueError) as error:
        raise ContractBroken(
            f"{path} must hold the number of the champion, and version and batches of champion and anchor, got {pins!r}"
        ) from error


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(gate)
