"""Stop a night whose batch fails critical expectations, before any GPU is used."""

import json
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from tasks.errors import ContractBroken
from tasks.files import read_json
from tasks.paths import MANIFEST
from tasks.run import graph, intact, lock
from tasks.run.git import git
from tasks.run.open import run_ref
from tasks.run.settings import Settings
from tasks.run.workspace import workspace


def admit(s: Settings, run: str, commit: str, fragments: lock.Fragments) -> dict[str, Any]:
    """Read what validate found, and let the night go on or not; `data_docs` renders the pages when it ends.

    Args:
        s: where central, remote and reports are.
        run: the run's id.
        commit: its commit.
        fragments: what `validate` and the stages before it locked.

    Returns:
        `refused`: why the night stops here, or None; `batches`: those at fault; `waived`: failures of batches that a person
        released; `docs`: the Data Docs page.
    """
    with workspace(s, commit, "admit") as folder, chdir(folder):
        graph.cut(folder, fragments)
        bring(folder, fragments, [str(MANIFEST)])
        docs = _place(s, run) / "index.html"
        validation = read_json(folder / MANIFEST / "validation.json")
        names = {f"{b['name']}-{b['digest'][:8]}": b["name"] for b in ledger(folder)}
        released = {f"{b['name']}-{b['digest'][:8]}" for b in ledger(folder) if b["status"] == "released"}
        failed = failures(validation)
        waived = [e for e in failed if e["batches"] and set(e["batches"]) <= released]
        blocking = [e for e in failed if e not in waived]
        blamed = sorted({names.get(key, key) for e in blocking for key in e["batches"]})
        return {
            "refused": _refusal(blamed, [e["reason"] for e in blocking], docs) if blocking else None,
            "batches": blamed,
            "waived": [e["reason"] for e in waived],
            "docs": str(docs),
        }


def data_docs(s: Settings, run: str, commit: str, fragments: lock.Fragments) -> dict[str, str]:
    """Render what validate found as Great Expectations' Data Docs: seconds of imports for which nothing has to wait.

    Args:
        s, run, commit, fragments: as for `admit`.

    Returns:
        `page`.
    """
    from tasks.validate.docs import render

    with workspace(s, commit, "docs") as folder, chdir(folder):
        graph.cut(folder, fragments)
        bring(folder, fragments, [str(MANIFEST)])
        moment = git("log", "-1", "--format=%cI", commit, cwd=folder)
        return {"page": str(render(folder / MANIFEST, _place(s, run), run, moment))}


def _place(s: Settings, run: str) -> Path:
    return s.reports / page_folder(run) / "data_docs"


def failures(validation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The critical expectations that were not met.

    Raises:
        ContractBroken: nothing was expected at all.
    """
    if not validation["expectations"]:
        raise ContractBroken("validation.json holds no expectation: an empty suite passes everything, so nothing is admitted")
    return [e for e in validation["expectations"] if e["severity"] == "critical" and e["success"] is not True]


def drifted(validation: Mapping[str, Any] | None, new: Sequence[str]) -> list[str]:
    """Which of the expectations of drift a run's new batches did not meet; `new` holds their names.

    Batches that drifted on earlier nights are in validation.json too, and were told then.
    """
    failed = [e for e in (validation or {}).get("expectations", ()) if e["table"] == "drift" and e["success"] is not True]
    names = [{key.rpartition("-")[0] for key in e["batches"]} for e in failed]
    return [e["reason"] for e, blamed in zip(failed, names, strict=True) if not blamed or blamed & set(new)]


def _refusal(batches: list[str], reasons: list[str], docs: Path) -> str:
    return (
        f"not admitted: {', '.join(batches) or 'the data as a whole'}: {'; '.join(reasons)}."
        f" Every expectation: {docs}. Mend the batch and land it again, or release it in the trigger form"
    )


def page_folder(run: str) -> str:
    """A run's folder below <home>/reports."""
    return run_ref(run).removeprefix("refs/heads/runs/")


def bring(folder: Path, fragments: lock.Fragments, targets: list[str]) -> None:
    """Merge fragments into a workspace's dvc.lock and pull what they made."""
    from dvc.repo import Repo

    with Repo() as repo:
        lock.merge(folder, fragments, graph.names(repo))
        intact.bring(repo, targets)


def ledger(folder: Path) -> list[dict[str, Any]]:
    """The batches that were ever ingested, with their status: accepted, rejected or released."""
    batches: list[dict[str, Any]] = json.loads((folder / "data/batches.json").read_text())["batches"]
    return batches
