"""The end of a run, whatever its outcome: dvc.lock, the verdict, `nightly`, MLflow, the report."""

import json
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from tasks import params as parameters
from tasks.errors import Refused
from tasks.files import read_json, write_json
from tasks.paths import INDEX, MANIFEST, REFERENCE, REPORTS
from tasks.reproduce.compare import recorded
from tasks.run import pins
from tasks.run.admit import bring, drifted, ledger
from tasks.run.git import git
from tasks.run.nightly import Winner, move
from tasks.run.record import record, shown
from tasks.run.reference import LOST, TRAILER, nights
from tasks.run.settings import Settings
from tasks.run.workspace import workspace

VERDICT = REPORTS / "verdict.json"
Fragment = Mapping[str, Any]  # what `run_stage` returned, with `work`


def close(
    s: Settings, opened: Mapping[str, Any], fragments: Mapping[str, Fragment], tasks: Mapping[str, Any]
) -> dict[str, Any]:
    """Close a run.

    Args:
        s: where central, remote, MLflow and reports are.
        opened: what `open` returned.
        fragments: what each stage returned; a stage that did not end well is absent.
        tasks: what `admit` and `measure` returned, or None; in `failures` why stages failed, by their names.

    Returns:
        `outcome`: judged, batch rejected or failed; overtaken, when another run closed or was promoted meanwhile and this
        one has to be judged again; nothing new, when that run closed the very same. `commit`: the closed commit;
        `verdict`, `scores`: as the stages wrote them, or None; `report`: the page for people; `mlflow`: its run there;
        `problems`: what to read; `verify`: whether the candidate is to be made again before it is promoted; `shadow`: whether a
        shadow run is due; `drifted`: how new batches differ from the reference, when they do.

    Raises:
        Refused: the merged dvc.lock leaves DVC something to do.
    """
    outcome = _outcome(opened, fragments, tasks)
    entries = {name: fragment["lock"] for name, fragment in fragments.items()}
    problems = [*opened["problems"], *_moved(opened), *_problems(outcome, opened, fragments, tasks)]
    with workspace(s, opened["commit"], "close") as folder, chdir(folder):
        work = _work(folder, outcome, fragments)
        verdict = None
        if outcome == "judged":
            bring(folder, entries, shown(entries))
            _prove()
            verdict = read_json(folder / VERDICT)
        if outcome == "batch rejected":
            _reject(folder, opened, tasks["admit"]["batches"])
        commit = str(opened["commit"])
        if outcome != "failed" and not opened["dry_run"]:
            lost = verdict is not None and bool(opened.get("shadow")) and verdict["verdict"] != "promote"
            told = work if not lost else _work(folder, LOST, fragments)
            closed = _commit(folder, opened, _message(opened, LOST if lost else outcome, verdict, told), lost)
            winner = move(s, folder, opened, closed, judged=outcome == "judged")
            outcome, commit = (outcome, closed) if winner is None else (_lost(winner), commit)
            problems += [] if winner is None else [_who_won(winner)]
        params = parameters.load(folder / "params.yaml")
        moved = outcome == "judged" and not opened["dry_run"]
        count = nights(folder, commit) if moved and params.shadow.nights else 0
        due = count > 0 and count % params.shadow.nights == 0  # one try every so many nights, however it ends
        if not verdict:  # not before: a rejected batch's commit keeps the dvc.lock that was
            bring(folder, entries, shown(entries))
        found = record(s, folder, opened["run"], commit, outcome, tasks, problems)
        validation = folder / MANIFEST / "validation.json"
        drift = drifted(read_json(validation) if validation.is_file() else None, opened["batches"])
    answer = {"outcome": outcome, "commit": commit, "dry_run": opened["dry_run"], "work": work, "shadow": due}
    return {**answer, "verify": params.gate.verify, "drifted": drift, **found}


def _moved(opened: Mapping[str, Any]) -> list[str]:
    return [f"encoders are fitted anew: {opened['reference']}"] if opened.get("reference") else []


def _lost(winner: Winner) -> str:
    return "nothing new" if winner.same else "overtaken"


def _who_won(winner: Winner) -> str:
    if winner.same:
        return f"{winner.told} closed the very same: nothing is left to do"
    return f"overtaken by {winner.told}: what this run found is kept, but it has to be judged again"


def _outcome(opened: Mapping[str, Any], fragments: Mapping[str, Fragment], tasks: Mapping[str, Any]) -> str:
    if set(opened["stages"]) <= set(fragments):
        return "judged"
    told = tasks["admit"] or {}
    new, blamed = set(opened["batches"]), set(told.get("batches", ()))
    # An accepted batch that fails by today's rules is for a person to look at; no new one is rejected in its place.
    return "batch rejected" if told.get("refused") and new and (new & blamed or not blamed) else "failed"


def _prove() -> None:
    """The merged dvc.lock must leave DVC nothing to do.

    Raises:
        Refused: it does not; the message names the stages.
    """
    from dvc.exceptions import ReproductionError
    from dvc.repo import Repo

    with Repo() as repo:
        try:
            left = ", ".join(stage.addressing for stage in repo.reproduce(dry=True, allow_missing=True))
        except ReproductionError as error:  # what would run lacks something that it reads
            left = f"{str(error).removeprefix('failed to reproduce ')} ({error.__cause__})"
    if left:
        raise Refused(f"the merged dvc.lock is not what the stages would write: DVC would run again: {left}")


def _problems(
    outcome: str, opened: Mapping[str, Any], fragments: Mapping[str, Fragment], tasks: Mapping[str, Any]
) -> list[str]:
    if outcome == "judged":
        return []
    if tasks["admit"] and tasks["admit"]["refused"]:
        return [tasks["admit"]["refused"]]
    why = tasks.get("failures", {})
    lost = [name for name in opened["stages"] if name not in fragments]
    first = sorted(lost, key=lambda name: name not in why)  # the others only waited for one of these
    return [f"stage {name} did not end well{': ' + why[name] if name in why else ''}" for name in first[:3]]


def _reject(folder: Path, opened: Mapping[str, Any], blamed: Sequence[str]) -> None:
    """Keep the rejected batches out, in the ledger and the index; others that landed with them are ingested again."""
    new = set(opened["batches"])
    rejected = set(blamed) & new or new
    kept = []
    for entry in ledger(folder):
        if entry["name"] in rejected or (entry["name"] in new and entry["status"] == "released"):
            kept.append({**entry, "status": "rejected"})  # a release holds for one night; it can be asked for again
        elif entry["name"] not in new:
            kept.append(entry)
    write_json(folder / "data/batches.json", {"batches": kept})
    if opened.get("reference"):  # nothing was fitted on it: it stays where it was
        git("checkout", "--quiet", f"{opened['commit']}^1", "--", str(REFERENCE), cwd=folder)
        pins.back(folder, f"{opened['commit']}^1", opened["commit"])
    for path in (INDEX, REFERENCE):
        content = json.loads((folder / path).read_text())
        content["batches"] = [b for b in content["batches"] if b["name"] not in new]
        write_json(folder / path, content)


def _work(folder: Path, outcome: str, fragments: Mapping[str, Fragment]) -> dict[str, dict[str, int]]:
    """What each stage counted when it last ran: now, or in the run that `dvc.lock` has its entry from."""
    parents = git("log", "-1", "--format=%P", cwd=folder).split()
    before = recorded(git("log", "-1", "--format=%B", parents[0], cwd=folder)) if parents else {}
    if outcome != "judged":  # dvc.lock stays, and so does the work behind it
        return before
    return {name: dict(f["work"]) if f["work"] else before.get(name, {}) for name, f in fragments.items()}


def _commit(folder: Path, opened: Mapping[str, Any], message: str, lost: bool) -> str:
    """The closed commit: parents and date of the opened one, so that closing twice gives one commit.

    A shadow run that lost leaves everything as the run before it did: its commit is an entry of the diary.
    """
    git("add", "--all", cwd=folder)
    parents, date = git("log", "-1", "--format=%P%n%cI", opened["commit"], cwd=folder).splitlines()
    options = [word for parent in parents.split() for word in ("-p", parent)]
    tree = f"{parents.split()[0]}^{{tree}}" if lost else git("write-tree", cwd=folder)
    return git("commit-tree", tree, *options, stdin=message, cwd=folder, date=date)


def _message(
    opened: Mapping[str, Any], outcome: str, verdict: Mapping[str, Any] | None, work: Mapping[str, Mapping[str, int]]
) -> str:
    batches = ", ".join(opened["batches"]) or "no new batch"
    head = outcome if outcome == LOST else f"{verdict['verdict'] if verdict else outcome}: {batches}"
    rows = [f"{r['verdict']}: {r['name']}: {r['reason']}" for r in verdict["rows"]] if verdict else []
    trailers = [f"Run: {opened['run']}"]
    trailers += [f"{TRAILER}: {opened['reference']}"] if verdict and opened.get("reference") else []
    trailers += [f"Work: {name} " + " ".join(f"{k}={v}" for k, v in sorted(w.items())) for name, w in work.items() if w]
    return "\n".join([head, "", *rows, *([""] if rows else []), *trailers]) + "\n"
