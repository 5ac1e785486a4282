"""What people see of a closed run: its page below <home>/reports, its run in MLflow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.files import read_json, write_bytes
from tasks.paths import CANDIDATES, ENCODERS, MANIFEST, REPORTS
from tasks.run import lock
from tasks.run.admit import page_folder
from tasks.run.settings import Settings


def shown(entries: lock.Fragments) -> list[str]:
    """Which of the stages' outs the page and MLflow are made of."""
    outs = [out["path"] for entry in entries.values() for out in entry.get("outs", ())]
    return [path for path in outs if any(path.startswith(str(place)) for place in (MANIFEST, REPORTS, ENCODERS, CANDIDATES))]


def record(
    s: Settings,
    folder: Path,
    run: str,
    commit: str,
    outcome: str,
    tasks: Mapping[str, Any],
    problems: list[str],
) -> dict[str, Any]:
    """Write the page and log the run.

    Args:
        s: where reports and MLflow are.
        folder: a checkout of the run with what is `shown`.
        run: the run's id.
        commit: the closed commit, or the opened one of a run that moved nothing.
        outcome: judged, batch rejected, failed, overtaken or nothing new.
        tasks: what `admit` and `measure` returned, or None.
        problems: what people must read.

    Returns:
        `verdict`, `scores`: as the stages wrote them, or None; `report`: the page's path; `mlflow`: the id of its MLflow run,
        or None; `problems`: all of them.
    """
    from tasks import report
    from tasks.promote.runs import log_run
    from tasks.report.card import CARD

    found = {name: _read(folder / path) for name, path in _PAGES.items()}
    page = report.write(
        s.reports / page_folder(run),
        run=run,
        commit=commit,
        outcome=outcome,
        verdict=found["verdict"],
        scores=found["scores"],
        robustness=found["robustness"],
        validation=found["validation"],
        manifest=found["manifest"],
        quarantine=folder / MANIFEST / "quarantine.parquet",
        label_next=folder / REPORTS / "evaluate" / "label_next.parquet",
        explained=folder / REPORTS / "explain",
        neighbours=folder / REPORTS / "evaluate" / "neighbours.parquet",
        pictures=sorted((folder / REPORTS).rglob("*.png")),
        measured=tasks["measure"],
        problems=problems,
        links={"Data Docs": tasks["admit"]["docs"]} if tasks["admit"] else {},
    )
    _card(page.with_name(CARD), run, commit, found if outcome == "judged" else {})
    logged = None
    try:
        logged = log_run(s, run, commit, outcome, found["verdict"], found["scores"], _curves(folder), folder, page)
    except Exception as error:  # a mirror that is away must not stop a promotion
        problems = [*problems, f"MLflow does not show this run: {type(error).__name__}: {error}"]
    told = {"verdict": found["verdict"], "scores": found["scores"], "report": str(page), "problems": problems}
    return {**told, "mlflow": logged}


def _card(to: Path, run: str, commit: str, found: Mapping[str, Any]) -> None:
    """Write the model card of a judged run; another one has none, though a try before it may have had."""
    from tasks.report.card import card

    if all(found.get(name) for name in ("verdict", "scores", "manifest")):
        facts = {name: found[name] for name in ("verdict", "scores", "manifest")}
        write_bytes(to, card(run=run, commit=commit, **facts).encode())
    else:
        to.unlink(missing_ok=True)


_PAGES = {
    "verdict": REPORTS / "verdict.json",
    "scores": REPORTS / "evaluate" / "scores.json",
    "robustness": REPORTS / "robustness" / "robustness.json",
    "validation": MANIFEST / "validation.json",
    "manifest": MANIFEST / "manifest.json",
}


def _read(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _curves(folder: Path) -> dict[str, Any]:
    """One curve per fitted thing, by the name of its folder: `image`, `concat`, `alone-image`."""
    found = {}
    for place in (ENCODERS, CANDIDATES):
        for path in sorted((folder / place).rglob("*.json")):
            curve = read_json(path).get("curve")
            if curve:
                found[path.parent.name] = curve
    return found
