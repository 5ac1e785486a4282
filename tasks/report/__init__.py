"""A run's page for people: one self-contained HTML file, the verdict first.

    write    the page of any outcome; what a run did not get to is left out
    page     the same, as text
    facts    what the page shows, from what the stages wrote
    card     the model card, beside the page
    page.html, style.css    how it looks: light and dark, on screen and on paper
    sort.js                 sorts tables

Nothing is loaded from elsewhere, and every value is escaped: names and reasons come from files that people land. Should one
ever not be, the policy that the page states itself lets a browser run no script but ours.
"""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.files import write_bytes
from tasks.report import facts

PAGE = "index.html"
HERE = Path(__file__).parent
STYLE = Markup((HERE / "style.css").read_text())  # noqa: S704  our own file
SCRIPT = (HERE / "sort.js").read_text()


def policy(script: str) -> str:
    """A Content-Security-Policy by which a page loads nothing, sends nothing and runs no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    only = f"script-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'"
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {only}"


def write(to: Path, **told: Any) -> Path:
    """Write the page of a run into a folder; `told` is what `page` takes. Returns its path."""
    write_bytes(to / PAGE, page(to, **told).encode())
    return to / PAGE


def page(
    to: Path,
    *,
    outcome: str,
    run: str = "",
    commit: str = "",
    verdict: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
    robustness: Mapping[str, Any] | None = None,
    validation: Mapping[str, Any] | None = None,
    manifest: Mapping[str, Any] | None = None,
    quarantine: Path | None = None,
    label_next: Path | None = None,
    explained: Path | None = None,
    neighbours: Path | None = None,
    pictures: Sequence[Path] = (),
    measured: Mapping[str, Any] | None = None,
    problems: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> str:
    """Make the page of a run.

    Args:
        to: the folder that it is made for.
        outcome: how the run ended, in a word or two: judged, batch rejected, failed.
        run: the run's id.
        commit: the commit that holds it.
        verdict: content of verdict.json.
        scores: content of evaluate/scores.json.
        robustness: content of robustness/robustness.json.
        validation: content of validation.json.
        manifest: content of manifest.json.
        quarantine: quarantine.parquet.
        label_next: evaluate/label_next.parquet.
        explained: the folder explain/.
        neighbours: evaluate/neighbours.parquet.
        pictures: PNG files, shown in this order.
        measured: what `tasks.measure.measure` returned.
        problems: what a person must read.
        links: name -> where it leads: a path on this machine, or an address.

    Returns:
        Its HTML.
    """
    return (
        environment(HERE)
        .get_template("page.html")
        .render(
            style=STYLE,
            script=Markup(SCRIPT),  # noqa: S704  our own file
            policy=Markup(policy(SCRIPT)),  # noqa: S704  our own text
            head=facts.head(outcome, verdict, validation),
            run=run,
            commit=commit,
            problems=problems,
            tables=facts.tables(scores),
            shares=facts.shares(scores),
            calibration=(scores or {}).get("calibration"),
            slices=facts.slices(scores),
            clusters=facts.clusters(scores),
            neighbours=facts.neighbours(neighbours),
            missing=facts.missing(scores),
            damage=facts.damage(robustness),
            rows=facts.rows(verdict, measured),
            data=facts.data(manifest),
            quarantined=facts.quarantined(quarantine),
            label_next=facts.label_next(label_next),
            explained=facts.explained(explained),
            expectations=facts.expectations(validation),
            pictures=[facts.picture(path) for path in pictures],
            links={name: href for name, place in (links or {}).items() if (href := _href(str(place), to))},
        )
    )


def environment(folder: Path) -> Environment:
    """Templates of a folder, in which every value is escaped, and one that is not there is an error."""
    return Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _href(place: str, to: Path) -> str | None:
    """An address as it is, a path as seen from the page; None for what a link must not do."""
    if "://" in place:
        return place if urlsplit(place).scheme in {"http", "https"} else None
    return quote(os.path.relpath(place, to))
