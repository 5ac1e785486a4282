"""Stop a night whose batch fails critical expectations, before any GPU is used."""

import json
from contextlib import chdir
from pathlib import Path
from typing import Any

from tasks.contracts import MANIFEST, read_json
from tasks.run import graph, lock
from tasks.run.open import run_ref
from tasks.run.settings import Settings
from tasks.run.workspace import workspace


def admit(s: Settings, run: str, commit: str, fragments: lock.Fragments) -> dict[str, Any]:
    """Read what validate found, render Data Docs, and let the night go on or not.

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
        bring(folder, fragments, [str(MANIFEST)])
        docs = _render(folder, s.reports / page_folder(run))
        validation = read_json(folder / MANIFEST / "validation.json")
        failed = [e for e in validation["expectations"] if e["severity"] == "critical" and not e["success"]]
        reasons = [f"{e['name']} ({e['table']}): {e['reason']}" for e in failed]
        names = {f"{b['name']}-{b['digest'][:8]}": b for b in ledger(folder)}
        blamed = [names[key] for key in validation["failed_batches"] if key in names]
        waived = bool(blamed) and all(batch["status"] == "released" for batch in blamed)
        batches = [b["name"] for b in blamed]
        refused = _refusal(batches, reasons, docs) if failed and not waived else None
        return {"refused": refused, "batches": batches, "waived": reasons if waived else [], "docs": str(docs)}


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
        repo.pull(targets=targets)


def ledger(folder: Path) -> list[dict[str, Any]]:
    """The batches that were ever ingested, with their status: accepted, rejected or released."""
    batches: list[dict[str, Any]] = json.loads((folder / "data/batches.json").read_text())["batches"]
    return batches


def _render(folder: Path, to: Path) -> Path:
    from tasks.validate.docs import render

    return render(folder / MANIFEST, to / "data_docs")
